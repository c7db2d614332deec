package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// scenariosOfLinux need what only Linux has: a clock of another process's time.
var scenariosOfLinux = []scenario{
	{"cpu", "processor time of a delivery, beside a bare write loop", measureCPU},
}

// turns is how often daemon and floor are measured in turn, half a duration
// each, so that whatever else the machine does hits both.
const turns = 3

// measureCPU compares the daemon, in a fan-out through Redis, with a program
// that does nothing but write the same frames to as many sockets. Times depend
// on the machine and its load, their ratio much less.
func measureCPU(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		c, err := gather(ctx, s.addr, b.subscribers, roundRate, func(int) string { return fanOutChannel })
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		f, err := b.startFloor(ctx)
		if err != nil {
			return nil, err
		}
		defer f.stop()

		l := load{fanOutRate, b.duration / 2}
		publish := redisPublisher(s.client, fanOutChannel)
		var ours, floors, ratios []float64
		for range turns {
			our, err := l.cost(ctx, s.daemon.pid(), c.clients, publish)
			if err != nil {
				return nil, err
			}
			floor, err := l.cost(ctx, f.pid(), f.clients, f.publish)
			if err != nil {
				return nil, fmt.Errorf("floor: %w", err)
			}
			ours, floors, ratios = append(ours, our), append(floors, floor), append(ratios, our/floor)
		}
		what := fmt.Sprintf("%s subscribers, %d/s: ", count(b.subscribers), fanOutRate)
		return []figure{
			told(what+"processor time of a delivery", median(ours), "µs"),
			told(what+"that of the bare write loop", median(floors), "µs"),
			told(what+"ratio of the two", median(ratios), ""),
		}, nil
	})
}

// cost is the processor time that a process takes for each delivery of a load,
// in microseconds.
func (l load) cost(ctx context.Context, pid int, subscribers []*client, publish publisher) (float64, error) {
	before, err := cpuTime(pid)
	if err != nil {
		return 0, err
	}
	o, err := l.run(ctx, subscribers, publish)
	if err != nil {
		return 0, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return 0, err
	}
	if o.lost > 0 {
		return 0, fmt.Errorf("%d deliveries of %d were lost", o.lost, o.lost+len(o.latencies))
	}
	return float64(after-before) / float64(time.Microsecond) / float64(len(o.latencies)), nil
}

// cpuTime is what all threads of a process have used, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	// The number of a process's clock: clock_getcpuclockid(3) makes it so.
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
