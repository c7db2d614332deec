package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// usage is what the daemon holds, as its own /metrics tells.
type usage struct {
	connections float64
	memory      float64 // resident, in bytes: VmRSS on Linux
	goroutines  float64
	descriptors float64
}

func (s *stack) usage(ctx context.Context) (usage, error) {
	response, err := s.get(ctx, "/metrics")
	if err != nil {
		return usage{}, err
	}
	defer response.Body.Close()
	values, err := parseMetrics(response.Body)
	if err != nil {
		return usage{}, fmt.Errorf("reading /metrics: %w", err)
	}
	u := usage{}
	for name, field := range map[string]*float64{
		"broadcastd_connections":        &u.connections,
		"process_resident_memory_bytes": &u.memory,
		"go_goroutines":                 &u.goroutines,
		"process_open_fds":              &u.descriptors,
	} {
		value, ok := values[name]
		if !ok {
			return usage{}, fmt.Errorf("/metrics lacks %s (the process's own are told on Linux)", name)
		}
		*field = value
	}
	return u, nil
}

// parseMetrics sums each metric over its labels.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("line %q has no number at its end", line)
		}
		values[name] += value
	}
	return values, lines.Err()
}

// settled returns the daemon's usage once it has n connections and its
// goroutines have stopped coming and going.
func (s *stack) settled(ctx context.Context, n int) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last, same := usage{}, 0
	for {
		u, err := s.usage(ctx)
		if err != nil {
			return usage{}, err
		}
		if same++; u.connections != float64(n) || u.goroutines != last.goroutines {
			same = 0
		}
		if last = u; same == 2 {
			return u, nil
		}
		if _, err := wait(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return usage{}, fmt.Errorf("the daemon has %.0f connections and %.0f goroutines, and does not come to rest at %d connections",
				u.connections, u.goroutines, n)
		}
	}
}
