package protocol

import (
	"encoding/json"
	"testing"
)

func TestParseMember(t *testing.T) {
	for data, want := range map[string]string{
		`{"user_id":"7"}`: "7",
		`{"user_id":7}`:   "7",
		`{"user_id":-7}`:  "-7",
		`{"user_id":9007199254740993,"user_info":{}}`: "9007199254740993",
		`{"user_id":123456789012345678901234567890}`:  "123456789012345678901234567890",
		`{"user_id":"\u00e9"}`:                        "é",
		`{"user_id":""}`:                              "",
		`{"user_id":7.5}`:                             "",
		`{"user_id":7e3}`:                             "",
		`{"user_id":true}`:                            "",
		`{"user_id":null}`:                            "",
		`{"user_id":{}}`:                              "",
		`{"user_info":{}}`:                            "",
		`[]`:                                          "",
		``:                                            "",
		`{"user_id":"` + string(make129()) + `"}`:      "",
		`{"user_id":"` + string(make129()[1:]) + `"}`:  string(make129()[1:]),
		`{"user_id":"7","user_info":{"a":`:             "",
		`{"user_id":"7","user_info":{"a":1}} trailing`: "",
	} {
		m, err := ParseMember(data)
		switch {
		case want == "" && err == nil:
			t.Errorf("ParseMember(%.60s) = %q, want an error", data, m.UserID)
		case want != "" && (err != nil || m.UserID != want):
			t.Errorf("ParseMember(%.60s) = %v, %v, want id %q", data, m, err, want)
		}
	}
}

func make129() []byte {
	b := make([]byte, 129)
	for i := range b {
		b[i] = 'u'
	}
	return b
}

func FuzzParseMember(f *testing.F) {
	f.Add(`{"user_id":7,"user_info":{"name":"Zo\u00eb"}}`)
	f.Add(`{"user_id":"\ud800","USER_ID":1}`)
	f.Add(`{"user_id":-0}`)
	f.Fuzz(func(t *testing.T, channelData string) {
		m, err := ParseMember(channelData)
		if err != nil {
			return
		}
		if err := CheckUserID(m.UserID); err != nil {
			t.Errorf("user id %q %v", m.UserID, err)
		}
		if m.Info != nil && !json.Valid(m.Info) {
			t.Errorf("user_info %q is not JSON", m.Info)
		}
	})
}
