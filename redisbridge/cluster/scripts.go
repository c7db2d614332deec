package cluster

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed scripts/declare.lua
	declareText string
	//go:embed scripts/beat.lua
	beatText string
	//go:embed scripts/bury.lua
	buryText string
	//go:embed scripts/look.lua
	lookText string
	//go:embed scripts/keep.lua
	keepText string

	declareScript = redis.NewScript(declareText)
	beatScript    = redis.NewScript(beatText)
	buryScript    = redis.NewScript(buryText)
	lookScript    = redis.NewScript(lookText)
	keepScript    = redis.NewScript(keepText)
)
