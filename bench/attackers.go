package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"broadcastd/test/attack"
)

// attackers are a process of their own, since this one is to be healthy.
type attackers struct {
	Attack string
	Number int
	Target attack.Target
}

// attackCommand is the argument that makes this program attack.
const attackCommand = "attack"

// runAttackers is that process: it reads what to do, attacks until its input ends,
// and tells what it got.
func runAttackers(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var task attackers
	input := json.NewDecoder(stdin)
	if err := input.Decode(&task); err != nil {
		return fmt.Errorf("reading what to attack: %w", err)
	}
	a, ok := attack.Named(task.Attack)
	if !ok {
		return fmt.Errorf("there is no attack %q", task.Attack)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin) // that it ends is what counts
	}()
	return json.NewEncoder(stdout).Encode(a.Run(ctx, &task.Target, task.Number, 0))
}

// attacking is the attackers' process.
type attacking struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
}

// startAttackers returns at once. The caller must ask for the result.
func startAttackers(ctx context.Context, task attackers) (*attacking, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &attacking{cmd: exec.CommandContext(ctx, self, attackCommand)}
	r.cmd.Stderr = os.Stderr
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r.stdin = stdin
	if r.stdout, err = r.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the attackers: %w", err)
	}
	if err := json.NewEncoder(stdin).Encode(task); err != nil {
		return nil, errors.Join(fmt.Errorf("telling the attackers what to do: %w", err), r.cmd.Wait())
	}
	return r, nil
}

// result ends the attack.
func (r *attacking) result() (got attack.Got, err error) {
	_ = r.stdin.Close() // which ends it
	err = json.NewDecoder(r.stdout).Decode(&got)
	if waitErr := r.cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return nil, fmt.Errorf("the attackers: %w", err)
	}
	return got, nil
}
