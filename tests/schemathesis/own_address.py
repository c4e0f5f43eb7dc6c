"""Connections come from an address of one's own (SOURCE): how often somebody may ask is counted by it. Loaded by schemathesis."""

import functools
import os

import urllib3.util.connection

source = (os.environ["SOURCE"], 0)
connect = urllib3.util.connection.create_connection


@functools.wraps(connect)
def from_own_address(address, timeout=None, source_address=None, socket_options=None):
    return connect(address, timeout, source, socket_options)


urllib3.util.connection.create_connection = from_own_address
