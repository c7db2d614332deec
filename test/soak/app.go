package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	appID  = "app"
	key    = "key"
	secret = "secret"
)

// sign is the signature that Pusher demands: HMAC-SHA256 in hex.
func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// target is the path and query of a signed request to the HTTP API.
func target(method, path string, params map[string]string, body []byte) string {
	all := maps.Clone(params)
	if all == nil {
		all = map[string]string{}
	}
	all["auth_key"], all["auth_version"] = key, "1.0"
	all["auth_timestamp"] = fmt.Sprint(time.Now().Unix())
	if len(body) > 0 {
		all["body_md5"] = fmt.Sprintf("%x", md5.Sum(body))
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, name+"="+all[name])
	}
	path = "/apps/" + appID + path
	query := strings.Join(pairs, "&")
	return path + "?" + query + "&auth_signature=" + sign(method+"\n"+path+"\n"+query)
}

// signChannel is what a client brings to a private channel; member is empty but for
// presence channels.
func signChannel(socketID, channel, member string) string {
	text := socketID + ":" + channel
	if member != "" {
		text += ":" + member
	}
	return key + ":" + sign(text)
}

// memberOf is a user's channel_data.
func memberOf(user string) string {
	return fmt.Sprintf(`{"user_id":%q,"user_info":{"name":%q}}`, user, "Name of "+user)
}

func isPresence(channel string) bool { return strings.HasPrefix(channel, "presence-") }
func isCache(channel string) bool {
	return strings.HasPrefix(channel, "cache-") || strings.HasPrefix(channel, "private-cache-")
}
func needsAuth(channel string) bool {
	return isPresence(channel) || strings.HasPrefix(channel, "private-")
}
