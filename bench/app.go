package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// app is whom clients and publishers claim to belong to.
type app struct{ ID, Key, Secret string }

var benchApp = app{"bench", "bench-key", "bench-secret"}

// sign is the signature that Pusher demands: HMAC-SHA256 in hex.
func (a app) sign(text string) string {
	mac := hmac.New(sha256.New, []byte(a.Secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// target is the path and query of a signed POST to the HTTP API.
func (a app) target(path string, body []byte, now time.Time) string {
	query := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=1.0&body_md5=%x", a.Key, now.Unix(), md5.Sum(body))
	return path + "?" + query + "&auth_signature=" + a.sign("POST\n"+path+"\n"+query)
}
