package cluster

import (
	"bufio"
	"context"
	"strings"
)

// warnOfEviction tells of a Redis that would throw away what is shared when it is
// full, if the node may ask.
func (p *partition) warnOfEviction(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	info, err := p.client.Info(ctx, "memory").Result()
	if err != nil {
		return // not allowed, or found out by what follows
	}
	if policy := evictionPolicy(info); policy != "" && policy != "noeviction" {
		p.log.Warn("a full Redis will throw away the log, or who is where, without a word; set its maxmemory-policy to noeviction", "maxmemory_policy", policy)
	}
}

// evictionPolicy is what INFO memory says of it; empty: nothing.
func evictionPolicy(info string) string {
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if policy, ok := strings.CutPrefix(lines.Text(), "maxmemory_policy:"); ok {
			return strings.TrimSpace(policy)
		}
	}
	return ""
}
