/**
 * The client of RhythmX Ticketing, which turns incidents into tickets in Jira and ServiceNow, effectively once. Begin with {@link
 * com.rhythmx.ticketing.TicketingClient}; the messages, in {@code com.rhythmx.ticketing.v1}, are generated from the contract.
 */
package com.rhythmx.ticketing;
