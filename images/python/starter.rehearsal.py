def hello(name):
    return [name]


print(*hello(str()), end=str())
