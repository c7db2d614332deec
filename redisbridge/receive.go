package redisbridge

import (
	"errors"
	"fmt"
	"runtime/debug"

	"broadcastd/protocol"
)

// receive publishes a message from Redis, or counts why not.
func (b *Bridge) receive(channel string, payload []byte) {
	err := b.publish(channel, payload)
	if err == nil {
		b.metrics.ok.Inc()
		return
	}
	reason := ReasonNotPublished
	errors.As(err, &reason)
	b.metrics.skipped[reason].Inc()
	b.skipped.add(reason, channel, err)
}

func (b *Bridge) publish(channel string, payload []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v, at %s", ReasonPanic, v, debug.Stack())
		}
	}()
	source, _ := sourceOf(b.sources, channel) // one fits, or Redis hadn't sent it
	name := channel[len(source.Prefix):]
	if err := protocol.CheckChannel(name); err != nil {
		return fmt.Errorf("%w: %w", ReasonBadChannel, err)
	}
	message, err := Decode(payload)
	if err != nil {
		return err
	}
	if limit := b.opt.MaxEventSize(source.App); limit > 0 && message.Size > limit {
		return fmt.Errorf("%w: %d bytes, %d are allowed", ReasonTooBig, message.Size, limit)
	}
	if message.BadSocket {
		b.metrics.badSockets.Inc()
	}
	message.Event.Channel = name
	return b.opt.Publish(source.App, message.Event)
}
