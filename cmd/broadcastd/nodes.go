package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"broadcastd/internal/config"
	"broadcastd/redisbridge"
	"broadcastd/redisbridge/cluster"
)

// nodesTimeout is for all of Redis's answers.
const nodesTimeout = 10 * time.Second

func newNodes(env []string) *cobra.Command {
	s := &settings{env: env}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes that share the apps",
		Long: `List the nodes that share each app, as they tell of themselves in the Redis of
scaling.redis: since when they run, how many connections they have, and for how
long they hold their lease unless they renew it. One without a lease is dead,
and will be cleaned up after. The keeper is the one that tells webhooks and
cleans up.`,
		Example: `  broadcastd nodes
  broadcastd nodes --json | jq '[.[].nodes[].connections] | add'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load(cmd)
			if err != nil {
				return err
			}
			apps, err := readNodes(cmd.Context(), loaded.Config)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(apps)
			}
			return printNodes(cmd.OutOrStdout(), apps)
		},
	}
	s.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	return cmd
}

// appNodes are an app's nodes in the form of --json.
type appNodes struct {
	App   string `json:"app"`
	Nodes []node `json:"nodes"`
}

type node struct {
	Name        string    `json:"name"`
	Generation  string    `json:"generation"`
	Version     string    `json:"version"`
	Since       time.Time `json:"since"`
	Connections int       `json:"connections"`
	Lease       int64     `json:"lease_ms"` // what is left of it
	Keeper      bool      `json:"keeper"`
}

func readNodes(ctx context.Context, cfg config.Config) ([]appNodes, error) {
	url := cfg.LogURL()
	if url == "" {
		return nil, errors.New("no Redis is configured that nodes could share; set scaling.redis or redis.url")
	}
	client, err := redisbridge.NewClient(url, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	apps := []appNodes{}
	for _, app := range cfg.AllApps() {
		infos, err := cluster.Nodes(ctx, client, cfg.Scaling.Prefix, app.ID)
		if err != nil {
			return nil, fmt.Errorf("nodes of app %s, in redis at %s: %w", app.ID, redisbridge.Address(url), err)
		}
		nodes := []node{}
		for _, n := range infos {
			nodes = append(nodes, node{
				n.Name, n.Generation, n.Version, n.Since.UTC(), n.Connections, n.Left.Milliseconds(), n.Keeper,
			})
		}
		apps = append(apps, appNodes{app.ID, nodes})
	}
	return apps, nil
}

func printNodes(w io.Writer, apps []appNodes) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APP\tNODE\tGENERATION\tVERSION\tSINCE\tCONNECTIONS\tLEASE\tKEEPER")
	for _, app := range apps {
		if len(app.Nodes) == 0 {
			fmt.Fprintf(t, "%s\tnone\t\t\t\t\t\t\n", app.App)
		}
		for _, n := range app.Nodes {
			lease, keeper := "dead", ""
			if n.Lease > 0 {
				lease = (time.Duration(n.Lease) * time.Millisecond).Round(100 * time.Millisecond).String()
			}
			if n.Keeper {
				keeper = "keeper"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", app.App, n.Name, n.Generation, n.Version,
				n.Since.Format(time.DateTime), n.Connections, lease, keeper)
		}
	}
	return t.Flush()
}
