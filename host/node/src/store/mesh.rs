//! What the node keeps of the mesh: the community, what members signed, what is shared, the tickets
//! that it issued, and where peers were seen.

use std::{net::SocketAddr, sync::Arc};

use meshhost_core::mesh::{
    key::NodeKey,
    membership::{Genesis, MemberStatement},
    share::Share,
    signed::Signed,
    ticket::IssuedTicket,
};
use sqlx::{Row as _, SqliteConnection};

use self::routes::Pending;
use super::{database::Database, error::StoreError};

mod routes;

pub use routes::{ReceiptRow, RouteRow};

/// The community as it is kept.
#[derive(Debug, Clone)]
pub struct CommunityRow {
    /// Its beginning.
    pub genesis: Signed<Genesis>,
    /// What this node is called in it.
    pub name: String,
    /// Where this node listens, as the operator wrote it.
    pub listen: String,
}

/// Where a peer was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// The peer.
    pub peer: NodeKey,
    /// Its addresses, the best first.
    pub addresses: Vec<SocketAddr>,
    /// When it was last connected, in microseconds since 1970; 0 for never.
    pub seen_us: i64,
}

/// Everything that is kept, as it is read when the node opens.
#[derive(Debug, Clone)]
pub struct MeshRows {
    /// The community.
    pub community: CommunityRow,
    /// What members signed.
    pub statements: Vec<Signed<MemberStatement>>,
    /// What is shared.
    pub shares: Vec<Share>,
    /// Tickets of this node.
    pub tickets: Vec<IssuedTicket>,
    /// Where peers were seen.
    pub peers: Vec<PeerRow>,
}

/// The tables of the mesh. Each change is one transaction.
#[derive(Debug, Clone)]
pub struct MeshTables {
    database: Database,
    /// Routes that are about to be written.
    pending: Arc<Pending>,
}

const READ: &str = "read what is kept of the mesh";
const WRITE: &str = "write what is kept of the mesh";
const TABLES: [&str; 5] = [
    "DELETE FROM mesh_community",
    "DELETE FROM mesh_statements",
    "DELETE FROM mesh_shares",
    "DELETE FROM mesh_tickets",
    "DELETE FROM mesh_peers",
];

const fn damaged() -> StoreError {
    StoreError::Damaged { what: "what is kept of the mesh" }
}

impl MeshTables {
    /// The tables in `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, pending: Arc::default() }
    }

    /// Reads everything; `None` when the node belongs to no community.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a row does not read as what was written; else the fault.
    pub async fn load(&self) -> Result<Option<MeshRows>, StoreError> {
        let readers = self.database.readers();
        let community = sqlx::query("SELECT genesis, name, listen FROM mesh_community")
            .fetch_optional(readers)
            .await
            .map_err(StoreError::database(READ))?;
        let Some(row) = community else { return Ok(None) };
        let community = CommunityRow {
            genesis: from_bytes(&row.get::<Vec<u8>, _>("genesis"))?,
            name: row.get("name"),
            listen: row.get("listen"),
        };
        let statements: Vec<Vec<u8>> = sqlx::query_scalar("SELECT signed FROM mesh_statements")
            .fetch_all(readers)
            .await
            .map_err(StoreError::database(READ))?;
        let shares: Vec<(String, String)> =
            sqlx::query_as("SELECT capability, shared_with FROM mesh_shares")
                .fetch_all(readers)
                .await
                .map_err(StoreError::database(READ))?;
        let tickets: Vec<String> = sqlx::query_scalar("SELECT record FROM mesh_tickets")
            .fetch_all(readers)
            .await
            .map_err(StoreError::database(READ))?;
        let peers: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT peer, addresses, seen_us FROM mesh_peers")
                .fetch_all(readers)
                .await
                .map_err(StoreError::database(READ))?;
        Ok(Some(MeshRows {
            community,
            statements: statements
                .iter()
                .map(|bytes| from_bytes(bytes))
                .collect::<Result<_, _>>()?,
            shares: shares.into_iter().map(share).collect::<Result<_, _>>()?,
            tickets: tickets.iter().map(|text| from_text(text)).collect::<Result<_, _>>()?,
            peers: peers.into_iter().map(peer).collect::<Result<_, _>>()?,
        }))
    }

    /// Keeps a community, in the place of whatever was kept, with what is shared from the start.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn enter(
        &self,
        community: &CommunityRow,
        statements: &[Signed<MemberStatement>],
        shares: &[Share],
    ) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut transaction =
            sqlx::Connection::begin(&mut *writer).await.map_err(StoreError::database(WRITE))?;
        clear(&mut transaction).await?;
        sqlx::query("INSERT INTO mesh_community VALUES (1, ?1, ?2, ?3)")
            .bind(to_bytes(&community.genesis)?)
            .bind(community.name.clone())
            .bind(community.listen.clone())
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::database(WRITE))?;
        save_statements(&mut transaction, statements).await?;
        for share in shares {
            add_share(&mut transaction, share).await?;
        }
        transaction.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Forgets the community and everything of it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut transaction =
            sqlx::Connection::begin(&mut *writer).await.map_err(StoreError::database(WRITE))?;
        clear(&mut transaction).await?;
        transaction.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Keeps what members signed: all of it or none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save(&self, statements: &[Signed<MemberStatement>]) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut transaction =
            sqlx::Connection::begin(&mut *writer).await.map_err(StoreError::database(WRITE))?;
        save_statements(&mut transaction, statements).await?;
        transaction.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Shares something.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn share(&self, share: &Share) -> Result<(), StoreError> {
        add_share(&mut *self.database.writer().await, share).await
    }

    /// Shares something no longer.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unshare(&self, share: &Share) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM mesh_shares WHERE capability = ?1 AND shared_with = ?2")
            .bind(share.capability.clone())
            .bind(share.with.to_string())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Keeps a ticket, and whom it let in.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save_ticket(&self, ticket: &IssuedTicket) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO mesh_tickets VALUES (?1, ?2)")
            .bind(ticket.secret.to_string())
            .bind(to_text(ticket)?)
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Forgets a ticket.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove_ticket(&self, ticket: &IssuedTicket) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM mesh_tickets WHERE secret = ?1")
            .bind(ticket.secret.to_string())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Keeps where a peer was seen.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save_peer(&self, peer: &PeerRow) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO mesh_peers VALUES (?1, ?2, ?3)")
            .bind(peer.peer.to_string())
            .bind(to_text(&peer.addresses)?)
            .bind(peer.seen_us)
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }
}

async fn clear(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    for statement in TABLES {
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(WRITE))?;
    }
    Ok(())
}

async fn save_statements(
    connection: &mut SqliteConnection,
    statements: &[Signed<MemberStatement>],
) -> Result<(), StoreError> {
    for signed in statements {
        let said = signed.open().map_err(|_| damaged())?;
        sqlx::query("INSERT OR REPLACE INTO mesh_statements VALUES (?1, ?2, ?3)")
            .bind(said.member.to_string())
            .bind(said.issuer.to_string())
            .bind(to_bytes(signed)?)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(WRITE))?;
    }
    Ok(())
}

async fn add_share(connection: &mut SqliteConnection, share: &Share) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO mesh_shares VALUES (?1, ?2)")
        .bind(share.capability.clone())
        .bind(share.with.to_string())
        .execute(connection)
        .await
        .map_err(StoreError::database(WRITE))?;
    Ok(())
}

fn share((capability, with): (String, String)) -> Result<Share, StoreError> {
    Ok(Share { capability, with: with.parse().map_err(|_| damaged())? })
}

fn peer((peer, addresses, seen_us): (String, String, i64)) -> Result<PeerRow, StoreError> {
    let peer = peer.parse().map_err(|_| damaged())?;
    Ok(PeerRow { peer, addresses: from_text(&addresses)?, seen_us })
}

fn to_bytes<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_allocvec(value)
        .map_err(|source| StoreError::Fault { operation: WRITE, source: source.into() })
}

fn from_bytes<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| damaged())
}

fn to_text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|source| StoreError::Fault { operation: WRITE, source: source.into() })
}

fn from_text<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| damaged())
}
