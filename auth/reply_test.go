package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"broadcastd/protocol"
)

func TestGrant(t *testing.T) {
	const (
		private   = "private-job.42"
		presence  = "presence-room.5"
		encrypted = "private-encrypted-job.42"
	)
	id := socketID(t, "123456.789012")
	signed := func(channel, data, more string) string {
		text, err := json.Marshal(Grant{Auth: SignChannel(appKey, appSecret, id, channel, data), ChannelData: data})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "}") + more + "}"
	}
	const longID = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456é"
	for name, tt := range map[string]struct {
		channel, body string
		want          string // a reason, or ok
		data          string // channel_data of the grant
	}{
		"true":                {private, "true", resultOK, ""},
		"true, white space":   {private, " true\r\n", resultOK, ""},
		"true, cache":         {"private-cache-x", "true", resultOK, ""},
		"false":               {private, "false", ReasonForbidden, ""},
		"null":                {private, "null", ReasonForbidden, ""},
		"empty":               {private, "", ReasonBadReply, ""},
		"white space":         {private, "\n", ReasonBadReply, ""},
		"a web page":          {private, "<!DOCTYPE html>true", ReasonBadReply, ""},
		"1":                   {private, "1", ReasonBadReply, ""},
		"a string":            {private, `"true"`, ReasonBadReply, ""},
		"True":                {private, "True", ReasonBadReply, ""},
		"true twice":          {private, "true true", ReasonBadReply, ""},
		"true and garbage":    {private, "true<br>", ReasonBadReply, ""},
		"BOM":                 {private, "\ufefftrue", ReasonBadReply, ""},
		"no-break space":      {private, "true\u00a0", ReasonBadReply, ""},
		"an array":            {private, "[true]", ReasonBadReply, ""},
		"an empty array":      {private, "[]", ReasonBadReply, ""},
		"an empty object":     {private, "{}", ReasonBadReply, ""},
		"a message":           {private, `{"message":"ok"}`, ReasonBadReply, ""},
		"object and garbage":  {private, `{"channel_data":{"user_id":7}}}`, ReasonBadReply, ""},
		"cut off":             {private, `{"channel_data":{"user_id":7}`, ReasonBadReply, ""},
		"deep":                {private, strings.Repeat(`{"channel_data":`, 20000) + "1" + strings.Repeat("}", 20000), ReasonBadReply, ""},
		"not UTF-8":           {presence, "{\"channel_data\":{\"user_id\":7,\"user_info\":\"\xff\"}}", ReasonBadReply, ""},
		"null members":        {private, `{"auth":null,"channel_data":null}`, ReasonBadReply, ""},
		"data, private":       {private, `{"channel_data":{"user_id":7,"user_info":"x"}}`, resultOK, ""},
		"no user_id, private": {private, `{"channel_data":{}}`, ReasonNoMember, ""},
		"data false, private": {private, `{"channel_data":false}`, ReasonNoMember, ""},

		"true, presence":          {presence, "true", ReasonNoMember, ""},
		"true, presence-cache":    {"presence-cache-x", "true", ReasonNoMember, ""},
		"integer id":              {presence, `{"channel_data":{"user_id":7}}`, resultOK, `{"user_id":"7"}`},
		"integer beyond 2^53":     {presence, `{"channel_data":{"user_id":9007199254740993}}`, resultOK, `{"user_id":"9007199254740993"}`},
		"integer beyond 2^64":     {presence, `{"channel_data":{"user_id":36893488147419103233}}`, resultOK, `{"user_id":"36893488147419103233"}`},
		"negative id":             {presence, `{"channel_data":{"user_id":-7}}`, resultOK, `{"user_id":"-7"}`},
		"string id":               {presence, `{"channel_data":{"user_id":"a\"\u00e9\/ 7"}}`, resultOK, `{"user_id":"a\"é/ 7"}`},
		"data as a string":        {presence, `{"channel_data":"{\"user_id\":7,\"user_info\":{\"a\":\"\\u00e9\"}}"}`, resultOK, `{"user_id":"7","user_info":{"a":"\u00e9"}}`},
		"user_info kept":          {presence, `{"channel_data":{"user_info":{"b": 1.0,"a":[ "\u00e9\/<" ]},"user_id":7,"x":1}}`, resultOK, `{"user_id":"7","user_info":{"b": 1.0,"a":[ "\u00e9\/<" ]}}`},
		"user_info null":          {presence, `{"channel_data":{"user_id":"7","user_info":null}}`, resultOK, `{"user_id":"7","user_info":null}`},
		"128 characters":          {presence, `{"channel_data":{"user_id":"` + longID + `"}}`, resultOK, `{"user_id":"` + longID + `"}`},
		"129 characters":          {presence, `{"channel_data":{"user_id":"` + longID + `a"}}`, ReasonNoMember, ""},
		"129 digits":              {presence, `{"channel_data":{"user_id":1` + longID[:127] + `1}}`, ReasonNoMember, ""},
		"no user_id":              {presence, `{"channel_data":{"user_info":{"id":7}}}`, ReasonNoMember, ""},
		"empty id":                {presence, `{"channel_data":{"user_id":""}}`, ReasonNoMember, ""},
		"null id":                 {presence, `{"channel_data":{"user_id":null}}`, ReasonNoMember, ""},
		"true as id":              {presence, `{"channel_data":{"user_id":true}}`, ReasonNoMember, ""},
		"fraction as id":          {presence, `{"channel_data":{"user_id":7.0}}`, ReasonNoMember, ""},
		"exponent as id":          {presence, `{"channel_data":{"user_id":7e3}}`, ReasonNoMember, ""},
		"object as id":            {presence, `{"channel_data":{"user_id":{"id":7}}}`, ReasonNoMember, ""},
		"data an array":           {presence, `{"channel_data":[7]}`, ReasonNoMember, ""},
		"data an empty string":    {presence, `{"channel_data":""}`, ReasonNoMember, ""},
		"data a string in string": {presence, `{"channel_data":"\"7\""}`, ReasonNoMember, ""},

		"signed":                      {private, signed(private, "", ""), resultOK, ""},
		"signed, more members":        {private, signed(private, "", `,"x":[1]`), resultOK, ""},
		"signed with data":            {private, signed(private, `{"user_id":"7"}`, ""), resultOK, `{"user_id":"7"}`},
		"signed presence":             {presence, signed(presence, `{"user_id": 7, "x":"é"}`, ""), resultOK, `{"user_id": 7, "x":"é"}`},
		"signed presence, no data":    {presence, signed(presence, "", ""), ReasonNoMember, ""},
		"signed presence, no id":      {presence, signed(presence, `{}`, ""), ReasonNoMember, ""},
		"signed for other channel":    {private, signed("private-job.43", "", ""), ReasonBadSignature, ""},
		"data not in the signature":   {private, signed(private, "", `,"channel_data":"{\"user_id\":\"7\"}"`), ReasonBadSignature, ""},
		"signed data as an object":    {presence, signed(presence, "", `,"channel_data":{"user_id":"7"}`), ReasonBadReply, ""},
		"other key":                   {private, `{"auth":"other:00"}`, ReasonBadSignature, ""},
		"auth without key":            {private, `{"auth":"00"}`, ReasonBadSignature, ""},
		"auth empty":                  {private, `{"auth":""}`, ReasonBadSignature, ""},
		"auth empty, with data":       {presence, `{"auth":"","channel_data":{"user_id":7}}`, ReasonBadReply, ""},
		"auth true":                   {private, `{"auth":true}`, ReasonBadReply, ""},
		"encrypted, true":             {encrypted, "true", ReasonNoSecret, ""},
		"encrypted, data":             {encrypted, `{"channel_data":{"user_id":7}}`, ReasonNoSecret, ""},
		"encrypted, signed":           {encrypted, signed(encrypted, "", `,"shared_secret":"c2Vj"`), resultOK, ""},
		"encrypted, signed, no key":   {encrypted, signed(encrypted, "", ""), ReasonNoSecret, ""},
		"encrypted, key not a string": {encrypted, signed(encrypted, "", `,"shared_secret":1`), ReasonBadReply, ""},
	} {
		wish := Request{SocketID: id, Channel: tt.channel}
		grant, no := wish.grant(app, []byte(tt.body))
		if got := resultOf(no); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
			continue
		}
		if no != nil {
			_ = refusal(t, no)
			continue
		}
		checkGrant(t, name, wish, grant)
		if grant.ChannelData != tt.data {
			t.Errorf("%s: channel_data %s, want %s", name, grant.ChannelData, tt.data)
		}
	}
}

func TestNoMemberSaysWhatToReturn(t *testing.T) {
	_, no := Request{SocketID: 1, Channel: "presence-room.5"}.grant(app, []byte("true"))
	if no == nil || !strings.Contains(no.Message, "['id' => $user->id") {
		t.Errorf("refusal of a bare true is %v", no)
	}
}

func FuzzGrant(f *testing.F) {
	var replies []recordedReply
	loadFixture(f, "broadcasting-auth.json", &replies)
	for _, r := range replies {
		if r.Response.Status == 200 {
			f.Add(byte(0), []byte(r.Response.Body))
			f.Add(byte(1), []byte(r.Response.Body))
			f.Add(byte(2), []byte(r.Response.Body))
		}
	}
	channels := []string{"private-job.42", "presence-room.5", "private-encrypted-job.42", "presence-cache-x"}
	for i, channel := range channels {
		for _, data := range []string{"", `{"user_id":"7"}`, `{"user_id":7,"user_info":[1]}`} {
			auth := SignChannel(appKey, appSecret, socketID(f, "123456.789012"), channel, data)
			f.Add(byte(i), fmt.Appendf(nil, `{"auth":%q,"channel_data":%q,"shared_secret":"c2Vj"}`, auth, data))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		wish := Request{SocketID: socketID(t, "123456.789012"), Channel: channels[int(kind)%len(channels)]}
		grant, no := wish.grant(app, body)
		if no != nil {
			_ = refusal(t, no)
			if grant != (Grant{}) {
				t.Errorf("refused with a grant: %+v", grant)
			}
			return
		}
		checkGrant(t, string(body), wish, grant)
		if !utf8.ValidString(grant.ChannelData) {
			t.Errorf("channel_data is not UTF-8: %q", grant.ChannelData)
		}
		if data := grant.ChannelData; data != "" && protocol.KindOf(wish.Channel).IsPresence() {
			member, err := protocol.ParseMember(data)
			if err != nil {
				t.Fatalf("%q was granted: %v", data, err)
			}
			if again, err := protocol.ParseMember(memberData(member)); err != nil || again.UserID != member.UserID {
				t.Errorf("%q is written again as %q, %v", data, memberData(member), err)
			}
		}
	})
}
