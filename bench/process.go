package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs for a scenario. It ends with stop, and at the
// latest with the context that it was started with.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string // the file that its output goes to
	ended chan struct{}
	err   error // of Wait; valid once ended is closed
}

// startProcess runs a command in dir, with nothing in its environment but env.
// Its output goes to a file there.
func startProcess(ctx context.Context, dir string, env []string, name string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(name), log: filepath.Join(dir, filepath.Base(name)+".log"), ended: make(chan struct{})}
	output, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p.cmd = exec.CommandContext(ctx, name, args...)
	p.cmd.Dir, p.cmd.Env = dir, append([]string{}, env...) // nil would be all of ours
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// until calls ready until it succeeds, the process ends or time is over.
func (p *process) until(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at its start with %s; its output ends: %s", p.name, p.cmd.ProcessState, p.lastOutput())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its output ends: %s", p.name, err, p.lastOutput())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) lastOutput() string {
	text := strings.TrimSpace(readFile(p.log))
	return text[max(len(text)-500, 0):]
}

// stop asks the process to end, as a supervisor does, and kills it if it won't.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill() // as above
		<-p.ended
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s ended badly: %w; its output ends: %s", p.name, p.err, p.lastOutput())
	}
	return nil
}
