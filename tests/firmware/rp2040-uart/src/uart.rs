//! The UART as a link.
//!
//! While a received message is held nothing is read, so on real wires RTS and CTS are needed too.

use embassy_rp::uart::{BufferedUart, BufferedUartRx, BufferedUartTx, Error};
use embedded_io_async::{ErrorType, Write};
use mqtt_embassy::mqtt_core::client::{Close, Connect, ConnectError};

/// Hands out the halves of the UART. Whatever is behind it has connected to the broker.
pub(crate) struct UartConnector {
    transmit: BufferedUartTx,
    receive: BufferedUartRx,
}

impl UartConnector {
    pub(crate) fn new(uart: BufferedUart) -> Self {
        let (transmit, receive) = uart.split();
        Self { transmit, receive }
    }
}

impl Connect for UartConnector {
    type Link<'a> = (&'a mut BufferedUartRx, UartWriter<'a>);

    async fn connect(&mut self) -> Result<Self::Link<'_>, ConnectError> {
        Ok((&mut self.receive, UartWriter(&mut self.transmit)))
    }
}

/// The sending half: a UART has no end of its own, so closing only sends what is buffered.
pub(crate) struct UartWriter<'a>(&'a mut BufferedUartTx);

impl ErrorType for UartWriter<'_> {
    type Error = Error;
}

impl Write for UartWriter<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().await
    }
}

impl Close for UartWriter<'_> {
    async fn close(&mut self) {
        // Nothing more can be done about what is not sent.
        let _ = self.0.flush().await;
    }
}
