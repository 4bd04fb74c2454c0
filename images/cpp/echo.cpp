#include <cctype>
#include <iostream>
#include <string>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        std::cout << argv[i] << '\n';
    }
    for (std::string line; std::getline(std::cin, line);) {
        for (char &c : line) {
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        }
        std::cout << line << '\n';
    }
}
