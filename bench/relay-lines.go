// A relay as the original has it: line by line (bufio.Scanner, fmt.Fprintln), with acknowledgements and a count. Arguments: the input's
// command, "--", the output's.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	split := 1
	for os.Args[split] != "--" {
		split++
	}
	in := exec.Command(os.Args[1], os.Args[2:split]...)
	out := exec.Command(os.Args[split+1], os.Args[split+2:]...)
	inIn, err := in.StdinPipe()
	check(err)
	inOut, err := in.StdoutPipe()
	check(err)
	outIn, err := out.StdinPipe()
	check(err)
	outOut, err := out.StdoutPipe()
	check(err)
	check(out.Start())
	check(in.Start())
	fmt.Fprintln(outIn, "{}")
	fmt.Fprintln(inIn, "{}")
	acks := bufio.NewScanner(outOut)
	data := bufio.NewScanner(inOut)
	acks.Scan()
	data.Scan()
	go func() {
		for acks.Scan() {
			fmt.Fprintln(inIn, acks.Text())
		}
	}()
	messages := 0
	for data.Scan() {
		messages++
		_, err := fmt.Fprintln(outIn, data.Text())
		check(err)
	}
	outIn.Close()
	check(out.Wait())
	fmt.Println(messages)
}
