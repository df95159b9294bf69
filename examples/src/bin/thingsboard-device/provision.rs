//! Provisioning: the server makes a device of us, and tells its credentials.

use std::time::Duration;

use anyhow::{Context as _, bail};
use examples::link;
use examples::terminal;
use mqtt_std::platform::json::JsonStr;
use mqtt_std::platform::thingsboard::provisioning::{self, Provisioned, Provisioning, Wanted};
use mqtt_std::{Inbox, Reconnect};
use tokio::time::timeout;

use crate::arguments::{Arguments, Provision};
use crate::state::Credentials;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for credentials, over a connection of its own.
///
/// An answer that is lost cannot be had again: the server refuses a device that it has provisioned.
pub(crate) async fn provision(
    arguments: &Arguments,
    provision: &Provision,
    url: &str,
) -> anyhow::Result<Credentials> {
    let (key, secret) = (provision.key.reveal(), provision.secret.reveal());
    let mut request = Provisioning::new(key, secret, Wanted::Server)?;
    if let Some(name) = &provision.name {
        request = request.device_name(name)?;
    }
    let subscriptions = [provisioning::subscription()];
    let preset = provisioning::options().subscriptions(&subscriptions);
    let options = arguments
        .connect(url, &preset)?
        .reconnect(Reconnect::never());
    let (client, mut inbox, mut link) = link::connect(&options).await?;
    drop(client.publish(&request.request()).await?);
    let credentials = tokio::select! {
        answer = timeout(PATIENCE, answer(&mut inbox)) => {
            answer.context("the server does not answer to provisioning")?
        }
        // It does not say so otherwise.
        error = link.ended() => Err(error).context("the server has refused to provision"),
    };
    drop(inbox);
    link.close().await;
    let credentials = credentials?;
    terminal::print_with_time("provisioned")?;
    Ok(credentials)
}

async fn answer(inbox: &mut Inbox) -> anyhow::Result<Credentials> {
    loop {
        let received = inbox.next().await?;
        if let Some(provisioned) = provisioning::response(&received)? {
            return credentials(&provisioned);
        }
    }
}

fn credentials(provisioned: &Provisioned<'_>) -> anyhow::Result<Credentials> {
    Ok(match provisioned {
        Provisioned::AccessToken(token) => Credentials::Token(text(*token)),
        Provisioned::Basic {
            client_id,
            user_name,
            password,
        } => Credentials::Basic {
            client_id: client_id.map(text),
            user_name: user_name.map(text),
            password: password.map(text),
        },
        Provisioned::X509(_) => Credentials::X509,
        Provisioned::Refused {
            not_found: true, ..
        } => {
            bail!("the server knows no such provisioning key and secret")
        }
        Provisioned::Refused { message, .. } => match message {
            Some(message) => bail!("the server has refused to provision: {}", text(*message)),
            None => bail!("the server has refused to provision: is there such a device already?"),
        },
    })
}

fn text(text: JsonStr<'_>) -> String {
    text.chars().collect()
}
