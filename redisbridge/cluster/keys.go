package cluster

import (
	"hash/crc32"
	"strconv"
)

// keys are the names in Redis of what belongs to one partition of an app. The
// braces make Redis Cluster keep them together.
type keys struct {
	tag                                                                                       string
	log, nodes, info, keeper, channels, dead, due, position, hooks, cache, cached, partitions string
}

func newKeys(prefix, app string, partition int) keys {
	tag := prefix + "{" + app + ":" + strconv.Itoa(partition) + "}:"
	return keys{
		tag: tag, log: tag + "log", nodes: tag + "nodes", info: tag + "info", keeper: tag + "keeper",
		channels: tag + "channels", dead: tag + "dead", due: tag + "due",
		position: tag + "position", hooks: tag + "hooks", cache: tag + "cache", cached: tag + "cached", partitions: tag + "partitions",
	}
}

// ledger is what a node has declared: channel → subscribers, "channel\nuser" → 1,
// and "\n" → how many declarations there were.
func (k *keys) ledger(generation string) string { return k.tag + "node:" + generation }

// members of a presence channel: user → "nodes user_info".
func (k *keys) members(channel string) string { return k.tag + "members:" + channel }

// partitionOf tells which of n partitions a channel belongs to: what
// zlib's crc32 of its name leaves.
func partitionOf(channel string, n int) int {
	if n == 1 {
		return 0
	}
	return int(crc32.ChecksumIEEE([]byte(channel)) % uint32(n))
}

// Connections and signed-in users are counted like channels' subscribers, under
// names that no channel can have.
const connectionsName = "~"

func userName(userID string) string { return "~" + userID }
