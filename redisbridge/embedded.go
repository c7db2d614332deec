package redisbridge

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// EmbeddedAddr is where Embedded listens: where a Laravel project looks for
// Redis unless told otherwise.
const EmbeddedAddr = "127.0.0.1:6379"

// Embedded starts a Redis inside of this process, for trying things out: it
// keeps everything in memory and knows the common commands only. stop ends it.
func Embedded() (url string, stop func(), err error) { return embedded(EmbeddedAddr) }

func embedded(addr string) (url string, stop func(), err error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(addr); err != nil {
		return "", nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	return "redis://" + server.Addr(), server.Close, nil
}
