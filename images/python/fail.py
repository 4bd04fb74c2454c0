def half(text):
    return int(text) / 2


print(half("four"))
