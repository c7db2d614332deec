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
	u := usage{}
	err := s.metrics(ctx, map[string]*float64{
		"broadcastd_connections":        &u.connections,
		"process_resident_memory_bytes": &u.memory,
		"go_goroutines":                 &u.goroutines,
		"process_open_fds":              &u.descriptors,
	})
	return u, err
}

// slowConsumers is how many clients the daemon has closed as such.
func (s *stack) slowConsumers(ctx context.Context) (int, error) {
	var n float64
	err := s.metrics(ctx, map[string]*float64{`broadcastd_disconnections_total{reason="slow_consumer"}`: &n})
	return int(n), err
}

// metrics reads some of the daemon's, by name, or by name and labels.
func (s *stack) metrics(ctx context.Context, fields map[string]*float64) error {
	response, err := s.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	values, err := parseMetrics(response.Body)
	if err != nil {
		return fmt.Errorf("reading /metrics: %w", err)
	}
	for name, field := range fields {
		value, ok := values[name]
		if !ok {
			return fmt.Errorf("/metrics lacks %s", name)
		}
		*field = value
	}
	return nil
}

// parseMetrics returns each metric by its name with its labels, and by its name
// alone the sum over them.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil || end < 0 {
			return nil, fmt.Errorf("line %q has no number at its end", line)
		}
		name, _, labelled := strings.Cut(line[:end], "{")
		if values[name] += value; labelled {
			values[line[:end]] = value
		}
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
