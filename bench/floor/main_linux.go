// Command floor is the least that a server can do for a delivery: one thread
// that writes ready frames to sockets, one blocking write(2) each. What a
// daemon takes beyond that is its own overhead.
//
// It takes the number of clients, prints its address, accepts them, prints
// "ready" and then writes whatever comes on its standard input: frames, each
// behind its length in four bytes. Each goes to all clients or, with a second
// argument "turns", to one after the other. It ends with its input.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string, frames io.Reader, stdout io.Writer) error {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[1] != "turns" {
		return errors.New("say for how many clients, and perhaps turns")
	}
	turns := len(args) == 2
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	clients, err := accept(n, stdout)
	if err != nil {
		return err
	}
	r := bufio.NewReader(frames)
	for i := 0; ; i = (i + 1) % n {
		frame, err := next(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to := clients
		if turns {
			to = clients[i : i+1]
		}
		for _, fd := range to {
			if err := writeAll(fd, frame); err != nil {
				return fmt.Errorf("writing to a client: %w", err)
			}
		}
	}
}

// accept returns the descriptors of n clients. It goes past package net, whose
// poller would be told of each acknowledgement.
func accept(n int, stdout io.Writer) ([]int, error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("binding: %w", err)
	}
	if err := unix.Listen(l, unix.SOMAXCONN); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	name, err := unix.Getsockname(l)
	if err != nil {
		return nil, fmt.Errorf("asking for the port: %w", err)
	}
	fmt.Fprintf(stdout, "127.0.0.1:%d\n", name.(*unix.SockaddrInet4).Port)
	clients := make([]int, n)
	for i := range clients {
		if clients[i], _, err = unix.Accept4(l, unix.SOCK_CLOEXEC); err != nil {
			return nil, fmt.Errorf("accepting: %w", err)
		}
		if err := unix.SetsockoptInt(clients[i], unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return nil, fmt.Errorf("setting TCP_NODELAY: %w", err)
		}
	}
	fmt.Fprintln(stdout, "ready")
	return clients, nil
}

func next(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// writeAll doesn't tell Go's scheduler of its calls, which would take processor
// time to watch them.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			b = b[n:]
		case unix.EINTR:
		default:
			return errno
		}
	}
	return nil
}
