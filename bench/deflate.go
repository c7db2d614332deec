package main

import (
	"context"
	"fmt"
)

// compressionEnv switches permessage-deflate on.
const compressionEnv = "BROADCASTD_APP_COMPRESSION=true"

// deflateSizes are of events' data, in bytes.
var deflateSizes = []int{eventSize, 2048}

// measureDeflate has two crowds on one daemon, of which one asks for
// compression.
func measureDeflate(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		const plainChannel, deflateChannel = "jobs.plain", "jobs.deflate"
		plain, err := gather(ctx, b.arrival(s, b.subscribers, func(int) string { return plainChannel }))
		if err != nil {
			return nil, err
		}
		defer plain.disperse()
		a := b.arrival(s, b.subscribers, func(int) string { return deflateChannel })
		a.deflate = true
		deflated, err := gather(ctx, a)
		if err != nil {
			return nil, err
		}
		defer deflated.disperse()
		targets := []compressing{
			{"plain", &target{"daemon", s.daemon.pid(), plain, redisPublisher(s.client), nil}, plainChannel},
			{"compressed", &target{"daemon", s.daemon.pid(), deflated, redisPublisher(s.client), nil}, deflateChannel},
		}
		var figures []figure
		for _, size := range deflateSizes {
			more, err := b.compress(ctx, targets, size)
			if err != nil {
				return nil, err
			}
			figures = append(figures, more...)
		}
		return figures, nil
	}, compressionEnv)
}

type compressing struct {
	name string
	*target
	channel string
}

// compress lets both take turns with events of one size.
func (b *bench) compress(ctx context.Context, targets []compressing, size int) ([]figure, error) {
	cpu, wire := make([][]float64, len(targets)), make([][]float64, len(targets))
	var sum outcome
	for range b.rounds {
		for i, t := range targets {
			cost, o, err := t.cost(ctx, load{fanOutRate, b.duration, size, []string{t.channel}})
			if err != nil {
				return nil, err
			}
			cpu[i] = append(cpu[i], cost)
			wire[i] = append(wire[i], float64(o.bytes)/float64(len(o.latencies)))
			sum.merge(o)
		}
	}
	what := fmt.Sprintf("%s subscribers, %d/s, %s bytes: ", count(b.subscribers), fanOutRate, count(size))
	var figures []figure
	for i, t := range targets {
		figures = append(figures,
			told(what+t.name+", bytes on the wire", median(wire[i]), "B"),
			told(what+t.name+", processor time of a delivery", median(cpu[i]), "µs"))
	}
	return append(figures, sum.faults(what)...), nil
}
