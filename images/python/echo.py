import sys

for argument in sys.argv[1:]:
    print(argument)
for line in sys.stdin:
    print(line.rstrip("\n").upper())
