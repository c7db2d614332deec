package redisbridge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/protocol"
)

// BenchmarkBridge is a message's way from Redis's connection to Publish. Redis
// is a peer that sends the same message over and over, 16 at a time.
func BenchmarkBridge(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	published := 0
	bridge, err := New(Options{
		URL: "redis://" + l.Addr().String(), Sources: laravel,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Publish: func(string, protocol.Event) error {
			if published++; published == b.N {
				cancel()
			}
			return nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	const prefix, channel = "laravel_database_*", "laravel_database_private-job.42"
	const payload = `{"event":"App\\Events\\JobUpdated","data":{"id":42,"status":"claimed","socket":null},"socket":null}`
	message := fmt.Appendf(nil, "*4\r\n$8\r\npmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
		len(prefix), prefix, len(channel), channel, len(payload), payload)
	poured := make(chan struct{})
	go func() {
		defer close(poured)
		pour(l, len(laravel), bytes.Repeat(message, 16))
	}()
	b.ReportAllocs()
	b.ResetTimer()
	if err := bridge.Run(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	<-poured
}

// pour accepts a subscriber, grants its patterns and sends it messages until it
// is gone.
func pour(l net.Listener, patterns int, messages []byte) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	commands := bufio.NewReader(conn)
	for granted := 0; granted < patterns; {
		var lines []string
		for range 5 { // both commands that come are arrays of two
			line, err := commands.ReadString('\n')
			if err != nil {
				return
			}
			lines = append(lines, strings.TrimSpace(line))
		}
		if strings.EqualFold(lines[2], "hello") {
			_, _ = io.WriteString(conn, "-ERR unknown command\r\n") // as Redis before version 6
			continue
		}
		granted++
		fmt.Fprintf(conn, "*3\r\n$10\r\npsubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(lines[4]), lines[4], granted)
	}
	go func() { _, _ = io.Copy(io.Discard, commands) }() // pings
	for err == nil {
		_, err = conn.Write(messages)
	}
}
