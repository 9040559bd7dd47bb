package com.rhythmx.ticketing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.UnknownFieldSet;
import com.rhythmx.ticketing.v1.Delivery;
import com.rhythmx.ticketing.v1.DeliveryState;

class ContractTest {
  @Behaviour("unknown fields and enum values survive")
  void keepsUnknownFieldsAndEnumValues() throws Exception {
    var state = UnknownFieldSet.Field.newBuilder().addVarint(99).build();
    var unknown = UnknownFieldSet.Field.newBuilder()
        .addLengthDelimited(com.google.protobuf.ByteString.copyFromUtf8("unknown text"))
        .build();
    byte[] sent = Delivery.newBuilder()
        .setId("0197")
        .setUnknownFields(UnknownFieldSet.newBuilder().addField(6, state).addField(1_000, unknown).build())
        .build()
        .toByteArray();
    Delivery delivery = Delivery.parseFrom(sent);
    assertEquals("0197", delivery.getId());
    assertEquals(DeliveryState.UNRECOGNIZED, delivery.getState());
    assertEquals(99, delivery.getStateValue());
    assertArrayEquals(sent, delivery.toByteArray());
    assertArrayEquals(sent, delivery.toBuilder().build().toByteArray());
  }
}
