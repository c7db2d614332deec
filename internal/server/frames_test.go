package server_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestFrames sends the frames that RFC 6455 forbids, and those that it allows
// but that are seldom seen.
func TestFrames(t *testing.T) {
	t.Parallel()
	const ping = `{"event":"pusher:ping"}`
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	var byBytes [][]byte
	for i := range len(ping) {
		head := byte(opContinuation)
		if i == 0 {
			head = opText
		}
		byBytes = append(byBytes, frame(head, ping[i:i+1]))
	}
	byBytes = append(byBytes, frame(fin|opContinuation, ""))

	survive(t, map[string]attack{
		"fragmented":              {sent: join(frame(opText, ping[:5]), frame(opContinuation, ping[5:9]), frame(fin|opContinuation, ping[9:]))},
		"a frame for each byte":   {sent: join(byBytes...)},
		"empty fragments":         {sent: join(frame(opText, ""), frame(opContinuation, ""), frame(opContinuation, ping), frame(fin|opContinuation, ""))},
		"control between":         {sent: join(frame(opText, ping[:5]), frame(fin|opPong, "x"), frame(fin|opContinuation, ping[5:]))},
		"UTF-8 across fragments":  {sent: join(frame(opText, "{\"event\":\"pusher:ping\",\"data\":\"\xe2\x82"), frame(fin|opContinuation, "\xac\"}"))},
		"length in 8 bytes":       {sent: join(header(fin|opText, 0x80, 1<<16)[:2], []byte{0, 0, 0, 0, 0, 0, 0, byte(len(ping))}, frame(fin|opText, ping)[2:])},
		"pong with a long text":   {sent: join(frame(fin|opPong, strings.Repeat("x", 125)), text(ping))},
		"too large in fragments":  {sent: join(frame(opText, strings.Repeat(" ", maxMessage)), frame(fin|opContinuation, ping)), close: 1009},
		"fragments without end":   {sent: join(frame(opText, " "), bytes.Repeat(frame(opContinuation, strings.Repeat(" ", 1000)), maxMessage/1000+1)), close: 1009},
		"a length of 2^62":        {sent: join(header(fin|opText, 0x80, 1<<62), maskKey[:], bytes.Repeat([]byte("x"), maxMessage+1)), close: 1009},
		"a length of 2^63":        {sent: join(header(fin|opText, 0x80, 1<<63), maskKey[:]), close: 1002},
		"binary":                  {sent: frame(fin|opBinary, ping), close: 1003},
		"binary in fragments":     {sent: join(frame(opBinary, ping), frame(fin|opContinuation, "")), close: 1003},
		"unmasked":                {sent: append(header(fin|opText, 0, uint64(len(ping))), ping...), close: 1002},
		"unmasked control":        {sent: header(fin|opPing, 0, 0), close: 1002},
		"continuation of nothing": {sent: frame(fin|opContinuation, ping), close: 1002},
		"continuation after all":  {sent: join(frame(opText, ""), frame(fin|opContinuation, `{"event":"pusher:pong"}`), frame(fin|opContinuation, "")), close: 1002},
		"text within fragments":   {sent: join(frame(opText, ping[:5]), text(ping)), close: 1002},
		"fragmented ping":         {sent: frame(opPing, ""), close: 1002},
		"fragmented close":        {sent: frame(opClose, ""), close: 1002},
		"ping of 126 bytes":       {sent: frame(fin|opPing, strings.Repeat("x", 126)), close: 1002},
		"close of 126 bytes":      {sent: closeFrame(1000, strings.Repeat("x", 124)), close: 1002},
		"reserved bit 1":          {sent: frame(fin|0x40|opText, ping), close: 1002}, // compressed, which wasn't agreed on
		"reserved bit 2":          {sent: frame(fin|0x20|opText, ping), close: 1002},
		"reserved bit 3":          {sent: frame(fin|0x10|opText, ping), close: 1002},
		"reserved bit on a ping":  {sent: frame(fin|0x40|opPing, ""), close: 1002},
		"opcode 3":                {sent: frame(fin|0x3, ping), close: 1002},
		"opcode 7":                {sent: frame(fin|0x7, ping), close: 1002},
		"opcode 11":               {sent: frame(fin|0xb, ""), close: 1002},
		"opcode 15":               {sent: frame(fin|0xf, ""), close: 1002},
		"HTTP":                    {sent: []byte("GET / HTTP/1.1\r\n\r\n"), close: 1002},
		"all ones":                {sent: bytes.Repeat([]byte{0xff}, 1000), close: 1002},
		"zeros":                   {sent: make([]byte, 1000), close: 1002},
		"close":                   {sent: closeFrame(1000, ""), close: 1000},
		"close with a reason":     {sent: closeFrame(4999, strings.Repeat("x", 123)), close: 4999},
		"close, then more":        {sent: join(closeFrame(1001, ""), text(ping), text(ping)), close: 1001},
		"close of 1 byte":         {sent: frame(fin|opClose, "\x03"), close: 1002},
		"close code 0":            {sent: closeFrame(0, ""), close: 1002},
		"close code 999":          {sent: closeFrame(999, ""), close: 1002},
		"close code 1005":         {sent: closeFrame(1005, ""), close: 1002},
		"close code 1006":         {sent: closeFrame(1006, ""), close: 1002},
		"close code 1015":         {sent: closeFrame(1015, ""), close: 1002},
		"close code 2999":         {sent: closeFrame(2999, ""), close: 1002},
		"close code 5000":         {sent: closeFrame(5000, ""), close: 1002},
		"close code 65535":        {sent: closeFrame(65535, ""), close: 1002},
	})
}

// TestCloseWithoutCode is what browsers send for WebSocket.close().
func TestCloseWithoutCode(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.connect(t)
	c.write(frame(fin|opClose, ""))
	if op, payload, err := c.read(); err != nil || op != opClose || len(payload) != 0 {
		t.Fatalf("answer to a close without a code: %#x %q, %v", op, payload, err)
	}
	d.waitMetric(t, `broadcastd_disconnections_total{reason="client"}`, 1)
}

// TestByBytes sends many messages with one byte in each packet.
func TestByBytes(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t)
	for range 5 {
		for _, b := range text(`{"event":"pusher:ping","data":"é"}`) {
			c.write([]byte{b})
			time.Sleep(10 * time.Microsecond) // or the kernel puts them together again
		}
		c.want(`{"event":"pusher:pong","data":{}}`)
	}
}

// TestManyInOnePacket sends more messages at once than any buffer holds.
func TestManyInOnePacket(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t)
	const messages = 5000
	go func() { _, _ = c.nc.Write(bytes.Repeat(text(`{"event":"pusher:ping"}`), messages)) }() // c.want tells if it fails
	for range messages {
		c.want(`{"event":"pusher:pong","data":{}}`)
	}
	c.fence()
}
