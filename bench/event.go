package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

const (
	eventName = "bench.event"
	// eventSize is the size of an event's data in bytes: that of a job with a
	// short title.
	eventSize = 200
)

// event is what a publisher sends: its number within its load, and when its
// publish began.
type event struct {
	seq   int
	began time.Time
}

// data is the event's data as JSON, eventSize bytes long.
func (e event) data() []byte {
	b := fmt.Appendf(make([]byte, 0, eventSize), `{"seq":%d,"began":%d,"pad":"`, e.seq, e.began.UnixNano())
	for len(b) < eventSize-2 {
		b = append(b, 'x')
	}
	return append(b, '"', '}')
}

// redisPayload is the event as Laravel publishes it, with the socket to skip
// also inside the data.
func (e event) redisPayload() []byte {
	data := e.data()
	return fmt.Appendf(nil, `{"event":%q,"data":%s,"socket":null},"socket":null}`, eventName, data[:len(data)-1])
}

// message is the event as the daemon sends it on to subscribers of channel.
func (e event) message(channel string) []byte {
	return fmt.Appendf(nil, `{"event":%q,"channel":%q,"data":%q}`, eventName, channel, e.data())
}

// parseEvent finds what data put into a message; false for other messages. It
// doesn't parse JSON, since the client's own work must stay small.
func parseEvent(message []byte) (event, bool) {
	seq, err1 := number(message, `\"seq\":`)
	began, err2 := number(message, `\"began\":`)
	return event{int(seq), time.Unix(0, began)}, err1 == nil && err2 == nil
}

func number(message []byte, after string) (int64, error) {
	_, rest, _ := bytes.Cut(message, []byte(after))
	digits := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
	return strconv.ParseInt(string(digits), 10, 64)
}
