package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

func main() {
	for _, argument := range os.Args[1:] {
		fmt.Println(argument)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(strings.ToUpper(lines.Text()))
	}
}
