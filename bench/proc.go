package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// kernelMemory is what the kernel itself takes, in bytes: its objects, those
// of sockets among them. Others' are too, so only a large crowd shows.
func kernelMemory() float64 { return procField(readFile("/proc/meminfo"), "Slab") }

// restartPeak has peak count from now on, and returns what is resident.
func (p *process) restartPeak() (float64, error) {
	const peakOnly = "5"
	if err := os.WriteFile(p.proc("clear_refs"), []byte(peakOnly), 0); err != nil {
		return 0, fmt.Errorf("restarting the peak of resident memory of %s: %w", p.name, err)
	}
	return procField(readFile(p.proc("status")), "VmRSS"), nil
}

// peak is the most that was resident since restartPeak, in bytes.
func (p *process) peak() (float64, error) {
	v := procField(readFile(p.proc("status")), "VmHWM")
	if v == 0 {
		return 0, fmt.Errorf("%s doesn't tell the peak of its memory", p.proc("status"))
	}
	return v, nil
}

func (p *process) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", p.pid(), file) }

// procField finds a value in kB in a text like that of /proc/meminfo, and
// returns it in bytes; 0 if it isn't there.
func procField(text, name string) float64 {
	for line := range strings.Lines(text) {
		if key, value, _ := strings.Cut(line, ":"); key == name {
			kilobytes, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kilobytes * kib
		}
	}
	return 0
}
