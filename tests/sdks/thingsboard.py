"""Actions of `tb-mqtt-client`."""

import time

import sdk_utils
import tb_device_mqtt
from tb_device_mqtt import TBDeviceMqttClient
from tb_gateway_mqtt import TBGatewayMqttClient

from actions import PATIENCE, address, delivered, perform

HOST, PORT = address()

# Only the pauses of an update are shortened, which last seconds.
tb_device_mqtt.sleep = lambda seconds: time.sleep(min(seconds, 0.02))

client = None


def open_client(kind, user_name, password=None, client_id="", chunk_size=0):
    global client
    if kind == "gateway":
        client = TBGatewayMqttClient(HOST, PORT, user_name, password, client_id=client_id)
        client.gw_set_server_side_rpc_request_handler(lambda _, call: delivered("gateway_rpc", call))
    else:
        client = TBDeviceMqttClient(
            HOST, PORT, user_name, password, client_id=client_id, chunk_size=chunk_size
        )
    client.set_server_side_rpc_request_handler(
        lambda number, call: delivered("rpc", {"id": int(number), **call})
    )
    client.set_on_firmware_received_callback(firmware_received)
    client.connect()
    wait_until(lambda: client.rate_limits_received)
    if kind == "gateway":
        wait_until(lambda: not client.get_subscriptions_in_progress())
    # A reconnect would forget the subscriptions to attributes.
    client.subscribe_to_all_attributes(lambda content, _: delivered("attributes", content))
    if kind == "gateway":
        client.gw_subscribe_to_all_attributes(
            lambda content: delivered("gateway_attributes", content)
        )
        limit = client._devices_connected_through_gateway_messages_rate_limit
        return {"burst": burst(client._messages_rate_limit), "device_burst": burst(limit)}
    return {"burst": burst(client._messages_rate_limit)}


def burst(limit):
    """How many messages may be sent at once."""
    return min(bucket.capacity for bucket in limit._rate_buckets.values())


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def firmware_received(client, image, version):
    client.update_firmware_info(state=tb_device_mqtt.TBFirmwareState.UPDATING)
    client.update_firmware_info(
        title=client.firmware_info["fw_title"],
        version=version,
        state=tb_device_mqtt.TBFirmwareState.UPDATED,
    )
    delivered("firmware", {"version": version, "image": image.hex()})


def response(name):
    return lambda number, content, error: delivered(name, {"id": number, "value": content})


def provision(key, secret, arguments):
    credentials = TBDeviceMqttClient.provision(HOST, key, secret, PORT, **arguments)
    return credentials


def answer(content, error):
    delivered("answer", content if error is None else {"raised": type(error).__name__})


ACTIONS = {
    "connect": open_client,
    "telemetry": lambda values, qos=None: get(client.send_telemetry(values, qos)),
    "attributes": lambda values, qos=None: get(client.send_attributes(values, qos)),
    "request_attributes": lambda client_keys, shared_keys: get(
        client.request_attributes(client_keys, shared_keys, answer)
    ),
    "rpc_reply": lambda number, value: client.send_rpc_reply(str(number), value),
    "rpc": lambda method, params: client.send_rpc_call(method, params, response("rpc_response")),
    "claim": lambda secret, millis: get(client.claim(secret, millis)),
    "provision": provision,
    "verify_checksum": lambda image, algorithm, checksum: sdk_utils.verify_checksum(
        bytes.fromhex(image), algorithm, checksum
    ),
    "get_firmware_update": lambda: client.get_firmware_update(),
    "nothing": lambda: None,
    "gateway_connect": lambda device, profile=None: get(
        client.gw_connect_device(device, profile) if profile else client.gw_connect_device(device)
    ),
    "gateway_disconnect": lambda device: get(client.gw_disconnect_device(device)),
    "gateway_telemetry": lambda device, values: get(client.gw_send_telemetry(device, values)),
    "gateway_attributes": lambda device, values: get(client.gw_send_attributes(device, values)),
    "gateway_request_shared": lambda device, keys: get(
        client.gw_request_shared_attributes(device, keys, answer)
    ),
    "gateway_request_client": lambda device, keys: get(
        client.gw_request_client_attributes(device, keys, answer)
    ),
    "gateway_rpc_reply": lambda device, number, value: get(
        client.gw_send_rpc_reply(device, number, value)
    ),
    "gateway_claim": lambda device, secret, millis: get(client.gw_claim(device, secret, millis)),
    "disconnect": lambda: client._client.disconnect() and None,
}


def get(info):
    """Waits until the message is acknowledged."""
    return info.get()


def publish(topic):
    if client is not None:
        client._client.publish(topic)


perform(ACTIONS, publish)
