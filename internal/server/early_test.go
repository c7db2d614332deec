package server_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestEarlyMessages sends messages in the packet of the handshake, larger ones
// than any of the buffers that they pass through.
func TestEarlyMessages(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, size := range []int{0, 400, 512, 1000, 3900, 4096, 5000, 9000, 70000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			c := d.dial(t)
			padded := fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"jobs","padding":%q}}`, strings.Repeat("x", size))
			c.write(bytes.Join([][]byte{
				[]byte(d.handshake(appTarget)), text(padded), text(`{"event":"pusher:ping"}`),
			}, nil))
			c.wantUpgrade()
			c.wantEstablished()
			c.want(`{"event":"pusher_internal:subscription_succeeded","channel":"jobs","data":"{}"}`)
			c.want(`{"event":"pusher:pong","data":{}}`)
			c.fence()
		})
	}
}

func TestManyEarlyMessages(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.dial(t)
	packet := []byte(d.handshake(appTarget))
	const channels = 300
	for i := range channels {
		packet = append(packet, text(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"c%d"}}`, i))...)
	}
	c.write(packet)
	c.wantUpgrade()
	c.wantEstablished()
	for i := range channels {
		c.want(fmt.Sprintf(`{"event":"pusher_internal:subscription_succeeded","channel":"c%d","data":"{}"}`, i))
	}
	c.fence()
}

// TestHandshakeByBytes sends handshake and message one byte a packet.
func TestHandshakeByBytes(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.dial(t)
	for _, b := range append([]byte(d.handshake(appTarget)), text(`{"event":"pusher:ping"}`)...) {
		c.write([]byte{b})
	}
	c.wantUpgrade()
	c.wantEstablished()
	c.want(`{"event":"pusher:pong","data":{}}`)
}
