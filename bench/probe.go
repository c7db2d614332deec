package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// probe is one user who is sent direct messages, in a process of its own.
type probe struct {
	Addr     string // of the daemon
	Channels []string
	Rate     int // messages a second, to the first channel
	Duration time.Duration
}

// found is what the probe tells.
type found struct {
	P99  float64 // from publish to receipt, in ms
	Lost int
}

// probeCommand is the argument that makes this program a probe.
const probeCommand = "probe"

// runProbe is that process: it reads a probe, connects, says "ready", and tells
// what it found.
func runProbe(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var p probe
	if err := json.NewDecoder(stdin).Decode(&p); err != nil {
		return fmt.Errorf("reading what to probe: %w", err)
	}
	c, err := gather(ctx, arrival{
		way: way{addr: p.Addr}, clients: 1, rate: arrivalRate, loops: 1,
		channels: func(int) []string { return p.Channels },
	})
	if err != nil {
		return err
	}
	defer c.disperse()
	fmt.Fprintln(stdout, "ready")
	o, err := load{p.Rate, p.Duration, eventSize, p.Channels[:1]}.run(ctx, c, httpPublisher(p.Addr, benchApp))
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(found{milliseconds(o.latencies.percentile(99)), o.lost})
}

// probing is a probe's process.
type probing struct {
	cmd    *exec.Cmd
	stdout io.Reader
	stderr bytes.Buffer
}

// startProbe returns once the probe's user is connected and the first message
// is on its way. The caller must ask for the result.
func startProbe(ctx context.Context, p probe) (*probing, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	task, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	r := &probing{cmd: exec.CommandContext(ctx, self, probeCommand)}
	r.cmd.Stdin, r.cmd.Stderr = bytes.NewReader(task), &r.stderr
	if r.stdout, err = r.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the probe: %w", err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(r.stdout, ready); err != nil {
		return nil, errors.Join(r.ended(err), r.cmd.Wait())
	}
	return r, nil
}

// result waits for the probe's end.
func (r *probing) result() (f found, err error) {
	err = json.NewDecoder(r.stdout).Decode(&f)
	if waitErr := r.cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return f, r.ended(err)
	}
	return f, nil
}

func (r *probing) ended(err error) error {
	return fmt.Errorf("the probe ended badly: %w: %s", err, bytes.TrimSpace(r.stderr.Bytes()))
}
