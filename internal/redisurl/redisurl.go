// Package redisurl reads the URLs that say which Redis: a single one, the
// master that Sentinels name, or a Cluster.
package redisurl

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Form is the error for what is no such URL.
const Form = "expected redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:///path, " +
	"with ?master_name=... for Sentinels and ?cluster=true for a Cluster; " +
	"write special characters of a password as %2F for / and so on"

var (
	errForm     = errors.New(Form)
	errDatabase = errors.New("a Cluster has no database but 0")
)

// Parse reads a URL of one of the forms
//
//	redis://user:password@host:port/database, rediss://..., unix://user:password@/path?db=database
//	redis://host:port/database?master_name=name&addr=host:port&username=user&password=password
//	redis://user:password@host:port?cluster=true, ?addr=host:port, or both
//
// of which the second has Sentinels' addresses, and in front of the @ who signs
// in to them. With TLS all certificates are for the first host, or
// skip_verify=true leaves them unchecked. What else go-redis takes in a URL has
// no effect, apart from client_name. Errors don't quote the URL, in which a
// misplaced character can turn the password into anything.
func Parse(text string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errForm
	}
	q := u.Query()
	switch {
	case q.Has("master_name") && q.Has("cluster"):
		return nil, errForm
	case q.Has("master_name"):
		return sentinels(u)
	case q.Has("cluster") && q.Get("cluster") != "true":
		return nil, errForm
	case q.Has("cluster") || q.Has("addr"):
		return cluster(u)
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errForm
	}
	return &redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, ClientName: o.ClientName,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
	}, nil
}

func sentinels(u *url.URL) (*redis.UniversalOptions, error) {
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "26379") // go-redis would take 6379
	}
	o, err := redis.ParseFailoverURL(u.String())
	if err != nil || o.MasterName == "" {
		return nil, errForm
	}
	return &redis.UniversalOptions{
		Addrs: distinct(o.SentinelAddrs), MasterName: o.MasterName, DB: o.DB, ClientName: o.ClientName,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
	}, nil
}

func cluster(u *url.URL) (*redis.UniversalOptions, error) {
	if path := strings.Trim(u.Path, "/"); path != "" && path != "0" {
		return nil, errDatabase
	}
	// What go-redis doesn't know in a Cluster's URL.
	q := u.Query()
	verify := q.Get("skip_verify")
	q.Del("cluster")
	q.Del("skip_verify")
	u.RawQuery = q.Encode()
	o, err := redis.ParseClusterURL(u.String())
	if err != nil || !slices.Contains([]string{"", "true", "false"}, verify) {
		return nil, errForm
	}
	if o.TLSConfig != nil {
		o.TLSConfig.InsecureSkipVerify = verify == "true"
	}
	return &redis.UniversalOptions{
		Addrs: distinct(o.Addrs), IsClusterMode: true, ClientName: o.ClientName,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
	}, nil
}

// distinct leaves out addresses that stand there again.
func distinct(addrs []string) []string {
	var all []string
	for _, addr := range addrs {
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}
