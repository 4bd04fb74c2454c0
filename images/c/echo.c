#include <ctype.h>
#include <stdio.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        puts(argv[i]);
    }
    for (int c = getchar(); c != EOF; c = getchar()) {
        putchar(toupper(c));
    }
    return 0;
}
