// The measures of bench/process.lua with os/exec.
package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"
)

const programs, heap = 300, 500

func run() {
	if err := exec.Command("/bin/true").Run(); err != nil {
		panic(err)
	}
}

func cost() float64 {
	run()
	start := time.Now()
	for i := 0; i < programs; i++ {
		run()
	}
	return float64(time.Since(start).Microseconds()) / programs
}

func main() {
	fmt.Printf("small\t%.6g\tus\n", cost())
	blocks := make([][]byte, heap)
	for i := range blocks {
		blocks[i] = bytes.Repeat([]byte("x"), 1<<20)
	}
	fmt.Printf("large\t%.6g\tus\n", cost())
	if len(blocks[heap-1]) != 1<<20 {
		panic("the heap has gone")
	}
}
