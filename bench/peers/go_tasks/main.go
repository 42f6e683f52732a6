// The measures of bench/tasks.lua with goroutines.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const sleepers = 100000

func show(name string, value float64, unit string) { fmt.Printf("%s\t%.6g\t%s\n", name, value, unit) }

// cpu gives the seconds of it that this process has used.
func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func resident() float64 {
	var size, pages int
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fscan(file, &size, &pages)
	return float64(pages * 4096)
}

// atOnce runs f in n goroutines and waits for all of them.
func atOnce(n int, f func()) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			f()
			all.Done()
		}()
	}
	all.Wait()
}

func gather() float64 {
	start := time.Now()
	atOnce(10000, func() { time.Sleep(10 * time.Millisecond) })
	return time.Since(start).Seconds()
}

func main() {
	start := cpu()
	atOnce(100, func() {
		for i := 0; i < 20000; i++ {
			runtime.Gosched()
		}
	})
	show("switch", (cpu()-start)/(100*20000)*1e9, "ns")

	start = cpu()
	for i := 0; i < 300000; i++ {
		result := make(chan int, 1)
		go func() { result <- 1 }()
		<-result
	}
	show("spawn_await", (cpu()-start)/300000*1e9, "ns")

	gather()
	show("gather", gather()*1e3, "ms")

	before := resident()
	var started sync.WaitGroup
	started.Add(sleepers)
	for i := 0; i < sleepers; i++ {
		go func() {
			started.Done()
			time.Sleep(time.Hour)
		}()
	}
	started.Wait()
	time.Sleep(10 * time.Millisecond)
	show("sleepers", (resident()-before)/sleepers, "bytes")
}
