// The measures of bench/executor.lua that mean something in Go: goroutines share memory, so nothing is
// copied and there is no round trip of data.
package main

import (
	"fmt"
	"math/rand"
	"sort"
	"sync"
	"time"
)

const oneByOne, atOnce = 200000, 20000

func show(name string, value float64, unit string) { fmt.Printf("%s\t%.6g\t%s\n", name, value, unit) }

func lists() [][]float64 {
	all := make([][]float64, 8)
	for i := range all {
		all[i] = make([]float64, 100000)
		for j := range all[i] {
			all[i][j] = rand.Float64()
		}
	}
	return all
}

func main() {
	jobs, results := make(chan func() int), make(chan int)
	for i := 0; i < 2; i++ {
		go func() {
			for job := range jobs {
				results <- job()
			}
		}()
	}
	noop := func() int { return 0 }

	start := time.Now()
	for i := 0; i < oneByOne; i++ {
		jobs <- noop
		<-results
	}
	show("round_trip", time.Since(start).Seconds()/oneByOne*1e6, "us")

	start = time.Now()
	go func() {
		for i := 0; i < atOnce; i++ {
			jobs <- noop
		}
	}()
	for i := 0; i < atOnce; i++ {
		<-results
	}
	show("at_once", time.Since(start).Seconds()/atOnce*1e6, "us")

	all := lists()
	start = time.Now()
	for _, list := range all {
		sort.Float64s(list)
	}
	show("sort_alone", time.Since(start).Seconds()*1e3, "ms")

	all = lists()
	var done sync.WaitGroup
	done.Add(1)
	start = time.Now()
	go func() {
		for range all {
			<-results
		}
		done.Done()
	}()
	for _, list := range all {
		list := list
		jobs <- func() int { sort.Float64s(list); return 0 }
	}
	done.Wait()
	show("sort_pool", time.Since(start).Seconds()*1e3, "ms")
}
