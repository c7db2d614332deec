package main

import (
	"github.com/spf13/cobra"

	"broadcastd/internal/config"
)

func newRoot(env []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "broadcastd",
		Short: "Deliver an API's events to Laravel Echo and pusher-js clients",
		Long: `broadcastd speaks the Pusher Channels protocol to browsers and phones, and takes
events from an API through Redis or signed HTTP. It replaces Laravel Reverb
without a change in the app.

To try it, with nothing else installed:   broadcastd start --dev
In a Laravel project:                     broadcastd start --env-file=.env`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newStart(env), newCheck(env), newReload(env), newHealth(env), newNodes(env), newVersion())
	addDocs(root)
	return root
}

// settings are the flags that say where the configuration comes from, and
// those that override it.
type settings struct {
	env     []string
	file    string
	envFile string
	dev     bool
}

func (s *settings) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.file, "config", "", "configuration file (default ./config.yaml, if there is one)")
	f.StringVar(&s.envFile, "env-file", "", "a Laravel project's .env to read REVERB_*, REDIS_* and BROADCASTD_* from")
	f.BoolVar(&s.dev, "dev", false, "need no configuration: loopback only, app app-id/app-key/app-secret, some Redis")
	f.String("host", "", "address to listen on (default 0.0.0.0)")
	f.Int("port", 0, "port to listen on (default 8080)")
	f.String("path", "", "prefix of every route, such as /ws")
	f.Bool("debug", false, "print each message in and out, signatures and what is called a secret masked")
}

// load puts the configuration together. Flags that were not given override
// nothing.
func (s *settings) load(cmd *cobra.Command) (config.Loaded, error) {
	flags := make(map[string]string)
	for _, name := range []string{"host", "port", "path", "debug"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			flags[name] = f.Value.String()
		}
	}
	return config.Load(config.Options{
		File: s.file, EnvFile: s.envFile, Env: s.env, Flags: flags, Dev: s.dev,
	})
}
