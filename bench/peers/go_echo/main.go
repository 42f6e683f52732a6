// The measure of bench/echo.lua with net.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

func echo(conn net.Conn) {
	defer conn.Close()
	data := make([]byte, 65536)
	for {
		n, err := conn.Read(data)
		if err != nil {
			return
		}
		if _, err = conn.Write(data[:n]); err != nil {
			return
		}
	}
}

// Microseconds of this process, user and system.
func used() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano()/1000 + usage.Stime.Nano()/1000
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	before := used()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	output, err := exec.Command(os.Args[1], port).Output()
	if err != nil {
		panic(err)
	}
	messages, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		panic(err)
	}
	fmt.Printf("message\t%.6g\tus\n", float64(used()-before)/float64(messages))
}
