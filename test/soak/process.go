package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// patience is for what takes seconds, on a machine that is busy.
const patience = 90 * time.Second

// process is a program that is started again and again. All of its methods may be
// called by any goroutine, but only one of them starts and ends it.
type process struct {
	name string
	log  string // file; all runs go there
	args []string

	mu     sync.Mutex // guards the following
	cmd    *exec.Cmd  // nil while it isn't running
	exited chan struct{}
	began  int64 // the log's size at the last start
}

func newProcess(dir, name string, args ...string) *process {
	return &process{name: name, log: filepath.Join(dir, name+".log"), args: args}
}

// start runs it, and waits until it is ready.
func (p *process) start(ready func() error) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, []string{}
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }()
	p.mu.Lock()
	p.cmd, p.exited, p.began = cmd, exited, info.Size()
	p.mu.Unlock()
	return eventually(func() error {
		select {
		case <-exited:
			return fmt.Errorf("%s ended at its start: %s; its log is %s", p.name, cmd.ProcessState, p.log)
		default:
			return ready()
		}
	})
}

// said is what it has logged since its start.
func (p *process) said() string {
	p.mu.Lock()
	began := p.began
	p.mu.Unlock()
	text, err := os.ReadFile(p.log)
	if err != nil || int64(len(text)) < began {
		return ""
	}
	return string(text[began:])
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended
	}
}

// stop asks it to end, and says if it didn't, or badly.
func (p *process) stop(s syscall.Signal, within time.Duration) error {
	p.signal(s)
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	var err error
	select {
	case <-exited:
	case <-time.After(within):
		err = fmt.Errorf("%s did not end within %s of %s", p.name, within, s)
		_ = cmd.Process.Kill() // it may have ended now
		<-exited
	}
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	if err == nil && s == syscall.SIGTERM && !cmd.ProcessState.Success() {
		err = fmt.Errorf("%s ended with %s", p.name, cmd.ProcessState)
	}
	return err
}

// eventually waits until is has no error any more, or returns the last one.
func eventually(is func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := is()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
