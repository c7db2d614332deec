package attack

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// SmuggledEvent is the name of an event that nobody may ever get.
const SmuggledEvent = "smuggled"

// Smuggled is bytes that two servers, one in front of the other, may not read as
// the same requests. Behind what the front takes for one request's body hides
// another request, which would publish SmuggledEvent to the target's channel.
type Smuggled struct {
	Name string
	sent string
}

// Smuggling are the known ways. In each the first request is signed rightly, so
// that nothing but the framing can make the daemon say no.
func Smuggling(t *Target) []Smuggled {
	hidden := t.eventFor(t.Secret, SmuggledEvent, t.Channel, "{}").String()
	first := t.event(t.Secret, "e", "{}")
	length := len(first.body)
	chunked := func(size string) string { return size + "\r\n" + first.body + "\r\n0\r\n\r\n" }
	// with has a body, and then what hides.
	with := func(lines, body string) string { return request{first.line, body + hidden}.framed(lines) }
	size := fmt.Sprintf("%x", length)
	all := len(chunked(size)) + len(hidden)
	const te = "Transfer-Encoding: chunked"
	cl := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

	return []Smuggled{
		{"length and chunks", with(cl(all)+"\r\n"+te, chunked(size))},
		{"chunks and length", with(te+"\r\n"+cl(all), chunked(size))},
		{"two lengths, the first shorter", with(cl(length)+"\r\n"+cl(length+len(hidden)), first.body)},
		{"two lengths, the first longer", with(cl(length+len(hidden))+"\r\n"+cl(length), first.body)},
		{"two lengths in one line", with(fmt.Sprintf("Content-Length: %d, %d", length, length+len(hidden)), first.body)},
		{"a length with a sign", with(fmt.Sprintf("Content-Length: +%d", length), first.body)},
		{"a negative length", with("Content-Length: -1", first.body)},
		{"a length in hex", with(fmt.Sprintf("Content-Length: 0x%x", length), first.body)},
		{"an unknown coding", with(cl(all)+"\r\nTransfer-Encoding: xchunked", chunked(size))},
		{"chunks twice", with(cl(all)+"\r\n"+te+"\r\n"+te, chunked(size))},
		{"chunks and another coding", with(cl(all)+"\r\nTransfer-Encoding: chunked, identity", chunked(size))},
		{"chunks behind a vertical tab", with(cl(all)+"\r\nTransfer-Encoding: \vchunked", chunked(size))},
		{"chunks, with a space before the colon", with(cl(all)+"\r\nTransfer-Encoding : chunked", chunked(size))},
		{"chunks in a folded line", with(cl(all)+"\r\nTransfer-Encoding:\r\n chunked", chunked(size))},
		{"chunks behind a bare LF", with(cl(all)+"\r\nX-A: b\nTransfer-Encoding: chunked", chunked(size))},
		{"chunks behind a bare CR", with(cl(all)+"\r\nX-A: b\rTransfer-Encoding: chunked", chunked(size))},
		{"a NUL in a header", with(cl(all)+"\r\nX-A: b\x00", chunked(size))},
		{"a chunk's extension and a length", with(cl(all)+"\r\n"+te, chunked(size+";a=b"))},
		{"a chunk's extension that ends in a bare LF", with(te, size+";\n"+first.body+"\r\n0\r\n\r\n")},
		{"a chunk's size with a sign", with(te, chunked("+"+size))},
		{"a chunk's size in two notations", with(te, chunked("0x"+size))},
		{"a chunk's size that overflows", with(te, chunked("1000000000000000"+size))},
		{"a chunk without its end", with(te, size+"\r\n"+first.body+"0\r\n\r\n")},
		{"chunks in HTTP/1.0", strings.Replace(with(cl(all)+"\r\nConnection: keep-alive\r\n"+te, chunked(size)), "HTTP/1.1", "HTTP/1.0", 1)},
		{"a body of a GET", "GET /up HTTP/1.1\r\nHost: a\r\n" + cl(len(hidden)) + "\r\n\r\n" + hidden},
		{"two hosts", strings.Replace(with(cl(length), first.body), "\r\n", "\r\nHost: b\r\n", 1)},
		{"a space before the first header", strings.Replace(with(cl(all)+"\r\n"+te, chunked(size)), "\r\nHost:", "\r\n Transfer-Encoding: identity\r\nHost:", 1)},
		{"a handshake that fails", strings.Replace(t.upgrade(t.Key, ""), "Version: 13", "Version: 7", 1) + hidden},
		{"a handshake that says so only once", strings.Replace(t.upgrade(t.Key, ""), "Connection: Upgrade\r\n", "", 1) + hidden},
		{"a handshake with a body", t.upgrade(t.Key, cl(len(hidden))+"\r\n") + hidden},
	}
}

// Send sends it all, and no more. It returns the status of the first answer, whether
// the daemon said with it that it would read no more, and the status of a second
// answer, which none may get; 0: there was none.
func (s Smuggled) Send(ctx context.Context, t *Target) (status int, closed bool, second int, err error) {
	c, err := t.dial(ctx, 0)
	if err != nil {
		return 0, false, 0, err
	}
	defer c.Close()
	go func() {
		c.say(s.sent)
		_ = c.Conn.(*net.TCPConn).CloseWrite() // it may be cut by now
	}()
	status, header, err := c.status()
	if err != nil {
		return 0, true, 0, err
	}
	if status == 101 {
		return status, c.end() != Held, 0, nil
	}
	if second, _, err = c.status(); err != nil {
		second = 0
	}
	return status, strings.Contains(header, "connection: close\r\n"), second, nil
}

// smuggle tries every way.
func smuggle(ctx context.Context, t *Target, _ int) string {
	for _, s := range Smuggling(t) {
		_, _, second, _ := s.Send(ctx, t) // to be cut off is as well
		switch {
		case ctx.Err() != nil:
			return Held
		case second != 0:
			return "a second answer"
		}
	}
	return "one answer to each"
}

// Hidden sends openly what the others hide, and returns the answer's status.
func Hidden(ctx context.Context, t *Target) (status int) {
	s := Smuggled{"hidden", t.eventFor(t.Secret, SmuggledEvent, t.Channel, "{}").String()}
	status, _, _, _ = s.Send(ctx, t) // 0 on an error
	return status
}
