package attack

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"strings"
)

// batch is how many frames go out before their answers are counted: of more, the
// answers would not fit into app.max_outbox if this machine is slow to read them.
const batch = 2000

// frames are attacks by clients that speak WebSocket, and little else.
var frames = []Attack{
	{Name: "silent from now on", Many: true, strike: vanish},
	{Name: "1 MB of garbage as frames", strike: func(ctx context.Context, t *Target, i int) string {
		return t.frames(ctx, i, garbage(), (*conn).end)
	}},
	{Name: "a message in frames of 1 byte", strike: func(ctx context.Context, t *Target, i int) string {
		ping := `{"event":"pusher:ping","data":"` + strings.Repeat("x", batch) + `"}`
		return t.frames(ctx, i, fragments(ping, true), awaiting(1, holds(pong)))
	}},
	{Name: "a message without end in frames of 1 byte", strike: func(ctx context.Context, t *Target, i int) string {
		return t.frames(ctx, i, fragments(strings.Repeat("x", t.MaxMessage+1), false), (*conn).end)
	}},
	{Name: "a large message, byte by byte", strike: func(ctx context.Context, t *Target, i int) string {
		c, err := t.connect(ctx, i, "")
		if err != nil {
			return unreached(ctx)
		}
		defer c.Close()
		const head, tail = `{"event":"pusher:ping","data":"`, `"}`
		ping := text(head + strings.Repeat("x", t.MaxMessage-len(head)-len(tail)) + tail)
		for n := range len(ping) {
			if _, err := c.Write([]byte(ping[n : n+1])); err != nil {
				return c.ended(err)
			}
		}
		return c.await(1, holds(pong))
	}},
	{Name: "messages of 1 byte", strike: func(ctx context.Context, t *Target, i int) string {
		return t.frames(ctx, i, strings.Repeat(text("x"), batch), awaiting(batch, holds(failed)))
	}},
	{Name: "pings", strike: func(ctx context.Context, t *Target, i int) string {
		return t.frames(ctx, i, strings.Repeat(frame(fin|opPing, ""), 50*batch), awaiting(50*batch, isPong))
	}},
	{Name: "pings whose answers are not read", strike: func(ctx context.Context, t *Target, i int) string {
		c, err := t.connect(ctx, i, "")
		if err != nil {
			return unreached(ctx)
		}
		defer c.Close()
		pings := strings.Repeat(frame(fin|opPing, strings.Repeat("x", 125)), batch)
		for {
			if _, err := c.Write([]byte(pings)); err != nil {
				return c.ended(err)
			}
		}
	}},
	{Name: "bombs: 100 bytes that inflate to 1 MB", Compression: true, strike: func(ctx context.Context, t *Target, i int) string {
		return t.deflated(ctx, i, bomb(1<<20), (*conn).end)
	}},
	{Name: "bombs that inflate to what is allowed", Compression: true, strike: func(ctx context.Context, t *Target, i int) string {
		const many = 200
		return t.deflated(ctx, i, strings.Repeat(bomb(t.MaxMessage), many), awaiting(many, holds(pong)))
	}},
}

func isPong(opcode byte, _ []byte) bool { return opcode == opPong }

func awaiting(n int, counts func(byte, []byte) bool) func(*conn) string {
	return func(c *conn) string { return c.await(n, counts) }
}

// frames connects, and sends frames while await reads.
func (t *Target) frames(ctx context.Context, i int, sent string, await func(*conn) string) string {
	return t.agreed(ctx, i, "", sent, await)
}

// deflated is frames of a client that may compress.
func (t *Target) deflated(ctx context.Context, i int, sent string, await func(*conn) string) string {
	return t.agreed(ctx, i, "Sec-WebSocket-Extensions: permessage-deflate\r\n", sent, await)
}

func (t *Target) agreed(ctx context.Context, i int, more, sent string, await func(*conn) string) string {
	c, err := t.connect(ctx, i, more)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	return c.flood(sent, func() string { return await(c) })
}

// fragments is a message of which every frame carries one byte.
func fragments(payload string, whole bool) string {
	var b strings.Builder
	for i := range len(payload) {
		first := byte(opContinuation)
		if i == 0 {
			first = opText
		}
		if whole && i == len(payload)-1 {
			first |= fin
		}
		b.WriteString(frame(first, payload[i:i+1]))
	}
	return b.String()
}

// bomb is a compressed pusher:ping that is so large when it is inflated.
func bomb(size int) string {
	const head, tail = `{"event":"pusher:ping","data":"`, `"}`
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one
	}
	_, _ = fmt.Fprint(w, head, strings.Repeat("x", size-len(head)-len(tail)), tail) // a Buffer takes everything
	_ = w.Flush()
	return frame(fin|deflated|opText, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
}

// vanish subscribes, and then is as good as gone, without a FIN: it reads nothing
// until the attack ends or it was cut off.
func vanish(ctx context.Context, t *Target, i int) string {
	c, err := t.connect(ctx, i, "")
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	c.say(c.subscribeSigned(t.Key, t.Secret, t.Channel, ""))
	return c.end()
}
