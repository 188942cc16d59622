package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cpuOf is the time that the threads of a process have spent on a processor,
// without its children; zero where there is no /proc.
func cpuOf(pid int) time.Duration {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0
	}
	total := time.Duration(0)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		spent, _, _ := bytes.Cut(text, []byte{' '})
		n, err := strconv.ParseInt(string(spent), 10, 64)
		if err == nil {
			total += time.Duration(n)
		}
	}
	return total
}

// memoryOf is the resident memory of a process in bytes; zero where there is no
// /proc.
func memoryOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n * int64(os.Getpagesize())
}
