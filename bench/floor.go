package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// floor is the program bench/floor.
type floor struct {
	cmd    *exec.Cmd
	frames io.WriteCloser
}

// startFloor returns the program as a target with n clients, all of which get
// each event; or, with "turns", one after the other. stop ends it.
func (b *bench) startFloor(ctx context.Context, n int, turns ...string) (t *target, stop func(), err error) {
	if b.floor == "" {
		if b.floor, err = build(ctx, b.dir, "broadcastd/bench/floor"); err != nil {
			return nil, nil, err
		}
	}
	f := &floor{cmd: exec.CommandContext(ctx, b.floor, append([]string{strconv.Itoa(n)}, turns...)...)}
	if f.frames, err = f.cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the floor: %w", err)
	}
	c, err := b.meetFloor(ctx, bufio.NewReader(stdout), n)
	if err != nil {
		_ = f.cmd.Process.Kill() // it may wait for clients
		_ = f.cmd.Wait()
		return nil, nil, fmt.Errorf("connecting to the floor: %w", err)
	}
	return &target{"floor", f.cmd.Process.Pid, c, f.publish, nil}, func() {
		_ = f.frames.Close() // which ends it
		_ = f.cmd.Wait()     // its figures count, not its end
		c.disperse()
	}, nil
}

// meetFloor returns once all clients are accepted. The floor says where it
// listens, and when it has them all.
func (b *bench) meetFloor(ctx context.Context, says *bufio.Reader, n int) (*crowd, error) {
	addr, err := says.ReadString('\n')
	if err != nil {
		return nil, err
	}
	w := way{addr: strings.TrimSpace(addr), bare: true}
	c, err := gather(ctx, arrival{way: w, clients: n, rate: arrivalRate, loops: b.loops})
	if err != nil {
		return nil, err
	}
	if _, err := says.ReadString('\n'); err != nil {
		c.disperse()
		return nil, errors.Join(err, c.broken())
	}
	return c, nil
}

// publish has the floor write the frame that the daemon would.
func (f *floor) publish(_ context.Context, e event) error {
	text := appendFrame(nil, opText, 0, e.message())
	_, err := f.frames.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}
