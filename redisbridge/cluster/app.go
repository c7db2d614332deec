package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// app is an app's channels in all of its partitions: a channels.Cluster.
type app struct {
	node       channels.Node
	partitions []*partition
	client     redis.UniversalClient
}

var _ channels.Cluster = (*app)(nil)

func (a *app) of(channel string) *partition {
	return a.partitions[partitionOf(channel, len(a.partitions))]
}

// Join counts a subscription.
func (a *app) Join(channel string, m *protocol.Member, then func([]byte, error)) channels.Place {
	return a.of(channel).join(channel, m, then)
}

// SignIn counts a connection of a user.
func (a *app) SignIn(userID string) channels.Place {
	name := userName(userID)
	return a.of(name).join(name, nil, nil)
}

// Connect counts a connection.
func (a *app) Connect() channels.Place { return a.partitions[0].join(connectionsName, nil, nil) }

// Roster is who is in a presence channel, as far as this node has heard.
func (a *app) Roster(channel string) []byte {
	p := a.of(channel)
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.channels[channel]; h != nil && h.roster != nil {
		return h.roster.Encode()
	}
	return nil
}

// Online tells which users are signed in anywhere.
func (a *app) Online(userIDs []string, then func(asked, online []string)) {
	byPartition := make(map[*partition][]string)
	for _, id := range userIDs {
		p := a.of(userName(id))
		byPartition[p] = append(byPartition[p], id)
	}
	for p, ids := range byPartition {
		p.online(ids, func(online []bool, ids []string) {
			var all []string
			for i, id := range ids {
				if online[i] {
					all = append(all, id)
				}
			}
			then(ids, all)
		})
	}
}

// Publish adds events to the log.
func (a *app) Publish(ctx context.Context, events []protocol.Event) error {
	answers := make(chan error, len(events))
	for i := range events {
		a.of(events[i].Channel).add(&events[i], func(err error) { answers <- err })
	}
	return wait(ctx, answers, len(events))
}

// wait gathers n answers. The error is ErrAway only if that is all of them.
func wait(ctx context.Context, answers <-chan error, n int) error {
	var first, away error
	kept := false
	for range n {
		select {
		case err := <-answers:
			switch {
			case err == nil:
				kept = true
			case errors.Is(err, channels.ErrAway):
				away = err
			default:
				first = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if first == nil && away != nil && kept {
		return errors.New("a part of the cluster's Redis is away")
	}
	if first == nil {
		return away
	}
	return first
}

// Whisper adds a client event to the log.
func (a *app) Whisper(e *protocol.Event) { a.of(e.Channel).whisper(e) }

// Terminate has every node close a user's connections.
func (a *app) Terminate(ctx context.Context, userID string) error {
	answer := make(chan error, 1)
	a.of(userName(userID)).tell(func(err error) { answer <- err }, "type", typeTerminate, "user", userID)
	return wait(ctx, answer, 1)
}

// CacheMissed has the keeper tell webhooks.
func (a *app) CacheMissed(channel string) {
	if a.node.Hooks != nil {
		a.of(channel).tell(nil, "type", typeCacheMiss, "channel", channel)
	}
}

// Kept has the keeper keep a last event that isn't in the log.
func (a *app) Kept(channel string) {
	p := a.of(channel)
	p.turn.Lock()
	defer p.turn.Unlock()
	p.kept[channel] = p.at
}

// Info tells of a channel.
func (a *app) Info(ctx context.Context, channel string) (info channels.Info, err error) {
	p, kind := a.of(channel), protocol.KindOf(channel)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	pipe := a.client.Pipeline()
	subscribers := pipe.HGet(ctx, p.keys.channels, channel)
	var members *redis.IntCmd
	if kind.IsPresence() {
		members = pipe.HLen(ctx, p.keys.members(channel))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return info, away(err)
	}
	info.Subscriptions, _ = strconv.Atoi(subscribers.Val()) // absent: none
	info.Occupied = info.Subscriptions > 0
	if members != nil {
		info.Users = int(members.Val())
	}
	if kind.IsCache() {
		if err := p.catchUp(ctx); err != nil {
			return info, err
		}
		if e, left, ok := a.node.Hub.LastEvent(channel); ok {
			info.Cached, info.CachedFor = e.Data, left
		}
	}
	return info, nil
}

// Occupied lists channels.
func (a *app) Occupied(ctx context.Context, prefix string) (map[string]channels.Info, error) {
	all := make(map[string]channels.Info)
	for _, p := range a.partitions {
		if err := p.occupied(ctx, prefix, all); err != nil {
			return nil, away(err)
		}
	}
	return all, nil
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func (p *partition) occupied(ctx context.Context, prefix string, all map[string]channels.Info) error {
	var cursor uint64
	for {
		pairs, next, err := p.client.HScan(ctx, p.keys.channels, cursor, globEscaper.Replace(prefix)+"*", readCount).Result()
		if err != nil {
			return err
		}
		pipe := p.client.Pipeline()
		members := make(map[string]*redis.IntCmd)
		for i := 0; i+1 < len(pairs); i += 2 {
			name := pairs[i]
			n, err := strconv.Atoi(pairs[i+1])
			kind := protocol.KindOf(name)
			if err != nil || n <= 0 || name[0] == '~' || kind == protocol.User {
				continue
			}
			all[name] = channels.Info{Occupied: true, Subscriptions: n}
			if kind.IsPresence() {
				members[name] = pipe.HLen(ctx, p.keys.members(name))
			}
		}
		if len(members) > 0 {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		for name, cmd := range members {
			info := all[name]
			info.Users = int(cmd.Val())
			all[name] = info
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Users lists a presence channel's members.
func (a *app) Users(ctx context.Context, channel string) ([]string, error) {
	ids, err := a.client.HKeys(ctx, a.of(channel).keys.members(channel)).Result()
	return ids, away(err)
}

// Connections counts them, those that this node has just counted too.
func (a *app) Connections(ctx context.Context) (int, error) {
	if err := a.partitions[0].catchUp(ctx); err != nil {
		return 0, err
	}
	n, err := a.client.HGet(ctx, a.partitions[0].keys.channels, connectionsName).Int()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, away(err)
}

// away is what a question that Redis didn't answer comes to. One that it doesn't
// allow will not be answered later either.
func away(err error) error {
	if err == nil || redis.IsPermissionError(err) {
		return err
	}
	return fmt.Errorf("%w: %w", channels.ErrAway, err)
}

// Settle waits until what the sessions' ends caused is declared and, if this node is
// the keeper, on its way to the webhooks. What follows is told by another.
func (a *app) Settle(ctx context.Context) error {
	return eachPartition(a.partitions, func(p *partition) error {
		err := p.catchUp(ctx)
		p.turn.Lock()
		defer p.turn.Unlock()
		if p.keeper != nil {
			p.keeper.checkpoint(p.at)
			p.keeper.left = true
		}
		return err
	})
}
