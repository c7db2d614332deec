package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// floor is the program bench/floor, and the clients that it writes to.
type floor struct {
	cmd     *exec.Cmd
	frames  io.WriteCloser
	clients []*client
}

func (b *bench) startFloor(ctx context.Context) (*floor, error) {
	binary, err := build(ctx, b.dir, "broadcastd/bench/floor")
	if err != nil {
		return nil, err
	}
	f := &floor{cmd: exec.CommandContext(ctx, binary, strconv.Itoa(b.subscribers))}
	if f.frames, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the floor: %w", err)
	}
	if err := f.connect(ctx, bufio.NewReader(stdout), b.subscribers); err != nil {
		f.stop()
		return nil, fmt.Errorf("connecting to the floor: %w", err)
	}
	return f, nil
}

// connect returns once all clients are accepted. The floor says where it
// listens, and when it has them all.
func (f *floor) connect(ctx context.Context, says *bufio.Reader, n int) error {
	addr, err := says.ReadString('\n')
	if err != nil {
		return err
	}
	for range n {
		c, err := dialRaw(ctx, strings.TrimSpace(addr))
		if err != nil {
			return err
		}
		f.clients = append(f.clients, c)
	}
	_, err = says.ReadString('\n')
	return err
}

func (f *floor) pid() int { return f.cmd.Process.Pid }

// publish has the floor write the frame that the daemon would.
func (f *floor) publish(_ context.Context, e event) error {
	text := frame(opText, 0, e.message(fanOutChannel))
	_, err := f.frames.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

func (f *floor) stop() {
	for _, c := range f.clients {
		_ = c.nc.Close() // nothing more is wanted of it
	}
	_ = f.frames.Close() // which ends the floor
	_ = f.cmd.Wait()     // its figures count, not its end
}
