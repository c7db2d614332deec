package socket

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// link is the connection to one client's machine. On Linux a plain TCP
// connection is a descriptor that the package reads, writes and closes itself
// (fdLink); everything else, TLS for example, is a net.Conn with goroutines
// (netLink).
type link interface {
	// start lets the connection get what the client sends, until the link is cut.
	start() error
	// write takes what it can without waiting. If that isn't all, the error is
	// errWouldBlock, and the connection's flusher gets an opWritable later.
	// Other errors mean that the link is broken.
	write(b []byte) (n int, err error)
	// idle reports whether everything that write took is on its way.
	idle() bool
	// finish tells the peer that nothing more will be written.
	finish()
	// cut ends both directions, which ends reading.
	cut()
	// release frees what the link holds. Reading has ended.
	release()
}

var errWouldBlock = errors.New("the link takes no more at present")

// netLink reads in a goroutine of its own, and writes in one that lives while
// there is something to write: package net has no write that doesn't block.
type netLink struct {
	nc   net.Conn
	conn *Conn
	busy atomic.Bool // a write is under way
	err  error       // of the write before; owned by it while busy
	buf  []byte      // what it writes
}

// maxWrite bounds what a netLink copies for one write, in bytes.
const maxWrite = 64 << 10

// readBuffer is what reading a netLink takes, in bytes.
const readBuffer = 2 << 10

func (l *netLink) start() error {
	c := l.conn
	go func() {
		defer c.end()
		buf := make([]byte, readBuffer)
		for {
			n, err := l.nc.Read(buf)
			if n > 0 {
				c.heard.Store(clock())
				c.receive(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return nil
}

func (l *netLink) write(b []byte) (int, error) {
	if l.busy.Load() {
		return 0, errWouldBlock
	}
	if l.err != nil {
		return 0, l.err
	}
	n := min(len(b), maxWrite)
	l.buf = append(l.buf, b[:n]...)
	l.run(func() error { _, err := l.nc.Write(l.buf); return err })
	if n < len(b) {
		return n, errWouldBlock
	}
	return n, nil
}

// run does what may block, and then has the flusher look at the connection.
func (l *netLink) run(do func() error) {
	l.busy.Store(true)
	f := l.conn.flusher
	f.writers.Go(func() {
		l.err = do()
		l.buf = nil
		l.busy.Store(false)
		f.push(work{op: opWritable, conn: l.conn})
	})
}

func (l *netLink) idle() bool { return !l.busy.Load() }

func (l *netLink) finish() {
	if half, ok := l.nc.(interface{ CloseWrite() error }); ok {
		l.run(half.CloseWrite) // TLS says goodbye, which may block
	}
}

// cut goes past TLS, whose Close may wait to say goodbye.
func (l *netLink) cut() {
	var under io.Closer = l.nc
	if tls, ok := l.nc.(interface{ NetConn() net.Conn }); ok {
		under = tls.NetConn()
	}
	_ = under.Close() // nobody is left to be told
}

func (l *netLink) release() {}
