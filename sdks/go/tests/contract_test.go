package tests

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func TestKeepsUnknownFieldsAndEnumValues(t *testing.T) {
	behaviour(t, "unknown fields and enum values survive", func(t *testing.T) {
		sent, err := proto.Marshal(&ticketingv1.Delivery{Id: "0197"})
		check(t, err)
		sent = protowire.AppendTag(sent, 6, protowire.VarintType)
		sent = protowire.AppendVarint(sent, 99)
		sent = protowire.AppendTag(sent, 1_000, protowire.BytesType)
		sent = protowire.AppendString(sent, "unknown text")
		var delivery ticketingv1.Delivery
		check(t, proto.Unmarshal(sent, &delivery))
		if delivery.GetId() != "0197" || delivery.GetState() != 99 || delivery.GetState().String() != "99" {
			t.Fatal(&delivery)
		}
		kept, err := proto.Marshal(&delivery)
		check(t, err)
		if string(kept) != string(sent) {
			t.Fatalf("%x became %x", sent, kept)
		}
	})
}
