"""Actions of `losant-mqtt`."""

import datetime
import threading
import time

from paho.mqtt import client as mqtt

from actions import PATIENCE, address, delivered, perform

HOST, PORT = address()

# The SDK knows port 1883 only.
connect = mqtt.Client.connect
mqtt.Client.connect = lambda self, host, port, keepalive: connect(self, HOST, PORT, keepalive)

from losantmqtt import Device  # noqa: E402

device = None


def open_device(device_id, key, secret):
    global device
    device = Device(device_id, key, secret, secure=False)
    connected = threading.Event()
    device.add_event_observer("connect", lambda _: connected.set())
    device.add_event_observer("reconnect", lambda _: delivered("reconnect"))
    device.add_event_observer("close", lambda _: delivered("close"))
    device.add_event_observer("command", lambda _, command: delivered("command", plain(command)))
    threading.Thread(target=loop, daemon=True).start()
    if not connected.wait(PATIENCE):
        raise TimeoutError


def loop():
    try:
        device.connect()
    except Exception as error:
        delivered("raised", type(error).__name__)


def plain(value):
    """Dates as milliseconds."""
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


ACTIONS = {
    "connect": open_device,
    "state": lambda data, millis=None: device.send_state(data, millis),
    "state_datetime": lambda data, millis: device.send_state(
        data, datetime.datetime.fromtimestamp(millis / 1000, datetime.timezone.utc)
    ),
    "state_struct_time": lambda data, seconds: device.send_state(data, time.localtime(seconds)),
    "close": lambda: device.close(),
    "nothing": lambda: None,
}


def publish(topic):
    # Closed, there is nobody to tell.
    if device._mqtt_client:
        device._mqtt_client.publish(topic)


perform(ACTIONS, publish)
